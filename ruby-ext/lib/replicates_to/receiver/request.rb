# frozen_string_literal: true

require "json"

module ReplicatesTo
  module Receiver
    # An HTTP request, checked from the cheapest to the dearest: method, content type, size, signature, JSON.
    class Request
      BODY_BYTES_MAX = 8 * 1024 * 1024
      CONTENT_TYPE = %r{\Aapplication/json\s*(;|\z)}i

      # The request is refused before any record is read.
      class Refused < StandardError
        # @return [Outcome]
        attr_reader :outcome

        def initialize(code, message)
          @outcome = Outcome.new(code, message: message)
          super(message)
        end
      end

      # @param env [Hash] of Rack
      # @param signature [Signature, nil] nil: unsigned requests are taken
      # @param now [Time]
      def initialize(env, signature:, now:)
        @env = env
        @signature = signature
        @now = now
      end

      # @return [Array<Record>] at least one
      # @raise [Refused]
      def records
        check_headers
        body = read
        check_signature(body)
        parse(body)
      end

      # @return [Boolean] whether the body was `{"records": […]}`, which wants `results`, also for one record
      def batch?
        @batch
      end

      private

      def check_headers
        method = @env["REQUEST_METHOD"]
        raise Refused.new(:method_not_allowed, "POST only, not #{method}") unless method == "POST"

        type = @env["CONTENT_TYPE"].to_s
        return if CONTENT_TYPE.match?(type)

        raise Refused.new(:unsupported_media_type, "application/json only, not #{type.inspect}")
      end

      # The length header may be missing or false, so the bytes count; one more than allowed is enough to know.
      def read
        too_large if @env["CONTENT_LENGTH"].to_i > BODY_BYTES_MAX
        body = @env["rack.input"]&.read(BODY_BYTES_MAX + 1).to_s
        too_large if body.bytesize > BODY_BYTES_MAX
        body
      end

      def too_large
        raise Refused.new(:too_large, "the body is larger than #{BODY_BYTES_MAX} bytes")
      end

      def check_signature(body)
        problem = @signature&.problem(id: @env["HTTP_WEBHOOK_ID"], timestamp: @env["HTTP_WEBHOOK_TIMESTAMP"],
                                      signature: @env["HTTP_WEBHOOK_SIGNATURE"], body: body, now: @now)
        raise Refused.new(:unauthorized, problem) if problem
      end

      def parse(body)
        json = JSON.parse(body.dup.force_encoding(Encoding::UTF_8))
        @batch = json.is_a?(Hash) && json.key?("records")
        list = @batch ? json["records"] : [json]
        raise Record::Malformed, "records is not a list of records" unless list.is_a?(Array) && list.any?

        list.map { |record| Record.new(record) }
      rescue JSON::ParserError, EncodingError
        raise Refused.new(:malformed, "the body is not JSON")
      rescue Record::Malformed => e
        raise Refused.new(:malformed, e.message)
      end
    end
  end
end
