# frozen_string_literal: true

require "json"

module ReplicatesTo
  module Receiver
    # Outcomes as a Rack answer: the response contract that the relay understands.
    module Answer
      # How long the relay keeps away from a consumer whose database is down.
      RETRY_AFTER_SECONDS = 5

      class << self
        # @param outcome [Outcome] of a single record, or of the whole request
        # @return [Array(Integer, Hash, Array<String>)]
        def single(outcome)
          rack(outcome.http_status, outcome.error? ? error(outcome) : success(outcome), headers(outcome))
        end

        # @param records [Array<Record>]
        # @param outcomes [Array<Outcome>] in the order of the records
        # @return [Array(Integer, Hash, Array<String>)]
        def batch(records, outcomes)
          results = records.zip(outcomes).map do |record, outcome|
            {id: record.id, status: outcome.word, error: outcome.message, version: outcome.version}.compact
          end
          rack(200, {results: results})
        end

        private

        def success(outcome)
          {status: outcome.word, version: outcome.version}.compact
        end

        def error(outcome)
          {error: {code: outcome.code, message: outcome.message}.compact}
        end

        def headers(outcome)
          case outcome.code
          when :unavailable then {"retry-after" => RETRY_AFTER_SECONDS.to_s}
          when :method_not_allowed then {"allow" => "POST"}
          else {}
          end
        end

        def rack(status, json, headers = {})
          [status, {"content-type" => "application/json"}.merge(headers), [JSON.generate(json)]]
        end
      end
    end
  end
end
