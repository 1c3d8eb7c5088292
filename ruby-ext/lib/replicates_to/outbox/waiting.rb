# frozen_string_literal: true

module ReplicatesTo
  module Outbox
    # What waits in the outbox: for how long, how much, and what cannot go on.
    module Waiting
      # @param seconds [Numeric] rows younger than this are left to their own process
      # @return [Boolean] whether an older row waits
      def older?(source, seconds)
        select(<<~SQL, source: source, before: earlier(seconds)).any?
          select 1 from replicates_to_outbox where source = %<source>s and created_at <= %<before>s and error is null limit 1
        SQL
      end

      # @param floor [Integer] ids below are known to be gone
      # @return [(Integer, Float), nil] id and age in seconds of the oldest row
      def oldest(source, floor)
        values = select(<<~SQL, source: source, floor: floor).first
          select id, #{age_of('created_at')} as seconds from replicates_to_outbox
          where source = %<source>s and id >= %<floor>s order by id limit 1
        SQL
        values && [values["id"], values["seconds"].to_f.round(1)]
      end

      # @return [Integer] rows older than so many seconds
      def older(source, seconds)
        select(<<~SQL, source: source, before: earlier(seconds)).first["rows"]
          select count(*) as rows from replicates_to_outbox where source = %<source>s and created_at <= %<before>s
        SQL
      end

      # @return [Array<Failing>]
      def failing(source, limit: 100)
        select(<<~SQL, source: source, limit: limit).map { |values| Failing.new(**values.transform_keys(&:to_sym)) }
          select id, model, primary_key, attempts, error
          from replicates_to_outbox where source = %<source>s and error is not null order by id limit %<limit>s
        SQL
      end

      # @return [Hash{Symbol => Numeric}] rows, failing and oldest_seconds (nil when empty)
      def counts(source)
        values = select(<<~SQL, source: source).first
          select count(*) as rows, count(error) as failing, #{age_of('min(created_at)')} as oldest_seconds
          from replicates_to_outbox where source = %<source>s
        SQL
        {rows: values["rows"], failing: values["failing"], oldest_seconds: values["oldest_seconds"]&.to_f&.round(1)}
      end
    end
  end
end
