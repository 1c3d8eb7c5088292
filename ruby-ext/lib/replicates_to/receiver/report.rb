# frozen_string_literal: true

module ReplicatesTo
  module Receiver
    # What the receiver tells ActiveSupport::Notifications. No value of a record is ever in a payload.
    module Report
      class << self
        # One event for the records of a request that are of one source, model, operation and outcome.
        # @param records [Array<Record>]
        # @param outcomes [Array<Outcome>] in the order of the records
        def received(records, outcomes)
          groups = records.zip(outcomes).group_by do |record, outcome|
            [record.source, record.model, record.operation, outcome.code]
          end
          groups.each do |(source, model, operation, status), pairs|
            unknown = pairs.flat_map { |_, outcome| outcome.unknown_attributes }.uniq.sort
            notify("receive", source: source, model: model, operation: operation, status: status,
                              records: pairs.size, unknown_attributes: unknown)
          end
        end

        # A request that was refused before any record was read.
        # @param outcome [Outcome]
        def refused(outcome)
          notify("receive", source: nil, model: nil, operation: nil, status: outcome.code,
                            records: 0, unknown_attributes: [])
        end

        # @param record [Record]
        # @param exception [StandardError]
        def error(record, exception)
          notify("error", kind: :receiver, model: record.model, primary_key: record.key, destination: nil,
                          exception: exception)
        end

        private

        def notify(event, payload)
          ActiveSupport::Notifications.instrument("#{event}.replicates_to", payload)
        end
      end
    end
  end
end
