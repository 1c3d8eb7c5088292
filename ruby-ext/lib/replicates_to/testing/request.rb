# frozen_string_literal: true

require "digest"
require "replicates_to/receiver/signature"

module ReplicatesTo
  module Testing
    # The request that the relay would send for records: headers, body and Standard Webhooks signature.
    class Request
      # @param records [Record, Array<Record>] an Array is a batch, also of one
      # @param secret [String, Array<String>]
      # @param at [Time]
      # @raise [ArgumentError]
      def initialize(records, secret:, at:)
        @batch = records.is_a?(Array)
        @records = @batch ? records : [records]
        @signature = Receiver::Signature.new(Array(secret))
        @timestamp = at.to_i.to_s
        refuse_impossible
      end

      # @return [(Hash{String => String}, String)] headers and body
      def to_a
        body = @batch ? %({"records":[#{@records.map(&:json).join(',')}]}) : record.json
        [headers(body), body]
      end

      private

      def record
        @records.first
      end

      def refuse_impossible
        raise ArgumentError, "a request carries at least one record" if @records.empty?

        other = @records.find { |record| !record.is_a?(Record) }
        raise ArgumentError, "a request carries records, as ReplicatesTo::Testing.records gives them, not #{other.inspect}" if other

        destinations = @records.map(&:destination).uniq
        raise ArgumentError, "a request goes to one destination, not to #{destinations.join(' and ')}" if destinations.size > 1

        twice = @records.group_by { |record| [record.source, record.model, record.key] }.values.find { |same| same.size > 1 }
        raise ArgumentError, "a batch has one record of a key at most, and #{twice.first.model} #{twice.first.key} is there twice" if twice
      end

      def headers(body)
        {"content-type" => "application/json", "user-agent" => "replicates-relay/#{VERSION}", "webhook-signature" => signature(body),
         "webhook-id" => id, "webhook-timestamp" => @timestamp, **(@batch ? {} : of_one_record)}
      end

      def of_one_record
        described = %w[destination source model key operation version].to_h do |name|
          ["replicates-to-#{name}", percent_encoded(record.public_send(name).to_s)]
        end
        {"idempotency-key" => "#{id}_#{record.content_hash[0, 16]}", **described, "replicates-to-attempt" => "1",
         "replicates-to-origin" => record.origin && percent_encoded(record.origin)}.compact
      end

      def id
        @batch ? "bat_#{Digest::SHA256.hexdigest(@records.map(&:id).join("\n"))[0, 32]}" : record.id
      end

      def signature(body)
        content = [id, @timestamp, body].map(&:b).join(".")
        @signature.signatures(content).map { |signature| "v1,#{signature}" }.join(" ")
      end

      # RFC 3986: what is unreserved stays.
      def percent_encoded(text)
        text.b.gsub(/[^A-Za-z0-9\-._~]/n) { |byte| format("%%%02X", byte.ord) }
      end
    end
  end
end
