# frozen_string_literal: true

module ReplicatesTo
  # What waits, in this process and in the databases.
  module Status
    module_function

    # @param publisher [Publisher]
    # @return [Hash{Symbol => Numeric}]
    def read(publisher)
      counts = outboxes.map { |outbox| outbox.counts(ReplicatesTo.config["source"]) }
      publisher.status.merge(
        outbox_rows: counts.sum { |count| count[:rows] },
        outbox_failing: counts.sum { |count| count[:failing] },
        oldest_outbox_seconds: counts.filter_map { |count| count[:oldest_seconds] }.max
      )
    end

    # @return [Array<Outbox::Statements>] of the databases that replicated models live in, on this thread's connections
    def outboxes
      models = Registry.noted.uniq(&:connection_specification_name)
      models = [ActiveRecord::Base] if models.empty?
      models.map { |model| RailsPrivate.connection_of(model) }
            .select { |connection| Outbox.supports?(connection) }.map { |connection| Outbox.on(connection) }.select(&:exists?)
    end
  end
end
