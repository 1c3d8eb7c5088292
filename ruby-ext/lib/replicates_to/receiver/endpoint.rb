# frozen_string_literal: true

module ReplicatesTo
  module Receiver
    # The Rack app behind `mount ReplicatesTo::Receiver`: request in, records applied one by one, answer out.
    class Endpoint
      # @param configuration [Configuration]
      def initialize(configuration)
        @signature = configuration.signature
        @applier = Applier.new(configuration)
      end

      # @param env [Hash]
      # @return [Array(Integer, Hash, Array<String>)]
      def call(env)
        request = Request.new(env, signature: @signature, now: Time.now)
        records = request.records
        outcomes = apply(records)
        Report.received(records.first(outcomes.size), outcomes)
        return Answer.single(outcomes.last) if outcomes.last.ends_request? || !request.batch?

        Answer.batch(records, outcomes)
      rescue Request::Refused => e
        Report.refused(e.outcome)
        Answer.single(e.outcome)
      end

      private

      # Stops where the database is gone: the relay sends the rest again, and what is applied already is known.
      def apply(records)
        outcomes = []
        records.each do |record|
          outcomes << @applier.apply(record)
          break if outcomes.last.ends_request?
        end
        outcomes
      end
    end
  end
end
