# frozen_string_literal: true

module ReplicatesTo
  module Receiver
    # Remembers per key the highest version that was applied, in a table beside the application's own, so that those
    # stay as they are. Deleted keys keep their row: an older record cannot bring them back.
    class VersionGuard
      TABLE = "replicates_to_versions"

      # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter] that of the write which follows
      def initialize(connection)
        @connection = connection
      end

      # Moves the guard of the record's key to its version, if that is higher. One statement does both, and holds the
      # row until the transaction ends: of two records of a key, one waits for the other here.
      # @param record [Record]
      # @return [Integer, nil] nil: go on and write; else the version that was applied already, equal or higher
      def advance(record)
        return if @connection.update(upsert(record), "ReplicatesTo version guard").positive?

        @connection.select_value(applied_version(record), "ReplicatesTo version guard").to_i
      end

      private

      def upsert(record)
        values = [record.source, record.model, record.key, record.version, record.delete?, Time.now.utc]
        <<~SQL
          insert into #{TABLE} (source, model, key, version, deleted, applied_at)
          values (#{values.map { |value| @connection.quote(value) }.join(', ')})
          on conflict (source, model, key) do update
          set version = excluded.version, deleted = excluded.deleted, applied_at = excluded.applied_at
          where #{TABLE}.version < excluded.version
        SQL
      end

      def applied_version(record)
        <<~SQL
          select version from #{TABLE}
          where source = #{@connection.quote(record.source)} and model = #{@connection.quote(record.model)}
          and key = #{@connection.quote(record.key)}
        SQL
      end
    end
  end
end
