# frozen_string_literal: true

require "openssl"

module ReplicatesTo
  module Receiver
    # Signatures after Standard Webhooks 1.0 (https://www.standardwebhooks.com): HMAC-SHA256 over
    # `webhook-id.webhook-timestamp.body`. Several secrets are good at once, so that one can be replaced without a gap.
    class Signature
      PREFIX = "whsec_"
      SECRET_BYTES = (24..64)
      # How far the clocks of the relay and of this machine may be apart, and how long a recorded request can be
      # replayed (what it could replay is caught by the version guard as well).
      TOLERANCE_SECONDS = 300

      # @param secrets [Array<String>] `whsec_` + base64 of 24-64 bytes
      # @raise [ConfigurationError] naming the position of the bad secret, never the secret
      def initialize(secrets)
        @keys = secrets.each_with_index.map { |secret, index| key(secret, index) }
        freeze
      end

      # @param id [String, nil] header `webhook-id`
      # @param timestamp [String, nil] header `webhook-timestamp`
      # @param signature [String, nil] header `webhook-signature`
      # @param body [String] bytes
      # @param now [Time]
      # @return [String, nil] what is wrong; nil when the request is genuine
      def problem(id:, timestamp:, signature:, body:, now:)
        return "webhook-id, webhook-timestamp or webhook-signature is missing" unless id && timestamp && signature
        return "webhook-timestamp is not a number of seconds" unless timestamp.match?(/\A\d{1,12}\z/)

        given = signature.split.filter_map { |part| part.delete_prefix("v1,") if part.start_with?("v1,") }
        content = [id, timestamp, body].map(&:b).join(".")
        return "webhook-signature does not match" unless signatures(content).any? { |expected| among?(given, expected) }

        seconds = (now.to_i - timestamp.to_i).abs
        "webhook-timestamp is #{seconds} s away" if seconds > TOLERANCE_SECONDS
      end

      # @param content [String] `webhook-id.webhook-timestamp.body`
      # @return [Array<String>] what the relay would write for each secret, without its version
      def signatures(content)
        @keys.map { |key| [OpenSSL::HMAC.digest("SHA256", key, content)].pack("m0") }
      end

      private

      def key(secret, index)
        key = secret.to_s.delete_prefix(PREFIX).unpack1("m0") if secret.to_s.start_with?(PREFIX)
        return key if key && SECRET_BYTES.cover?(key.bytesize)

        raise ArgumentError
      rescue ArgumentError
        raise ConfigurationError, "receiver: secret #{index + 1} is not #{PREFIX} followed by base64 of 24-64 bytes"
      end

      # Every candidate is compared in constant time: the answer must not tell how much of a forged one was right.
      def among?(given, expected)
        given.any? do |candidate|
          candidate.bytesize == expected.bytesize && OpenSSL.fixed_length_secure_compare(candidate, expected)
        end
      end
    end
  end
end
