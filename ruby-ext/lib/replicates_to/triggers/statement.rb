# frozen_string_literal: true

module ReplicatesTo
  module Triggers
    # A statement as far as its first words tell what it is. SQL is only looked at, not understood.
    class Statement
      # Comments may come first: query tags do.
      LEAD = %r{\A(?:\s|\(|--[^\n]*\n|/\*.*?\*/)*}m
      CONTROL = /#{LEAD}(?:begin|start|commit|end|rollback|abort|savepoint|release|prepare\s+transaction|set|reset|show|discard)\b/i
      NAME = /(?:savepoint\s+)?("[^"]+"|[\w$]+)/i
      SAVEPOINTS = {
        set: /#{LEAD}savepoint\s+#{NAME}/i,
        release: /#{LEAD}release\s+#{NAME}/i,
        rollback: /#{LEAD}rollback\s+(?:(?:work|transaction)\s+)?to\s+#{NAME}/i
      }.freeze
      # A SELECT may call a function that writes.
      WRITES = /#{LEAD}(?:insert|update|delete|merge|with|copy|truncate|do|call|execute|select\s+(?:\*\s+from\s+)?[\w."]+\s*\()/i

      # The table it writes to comes right behind; of a CTE that cannot be said.
      TABLE = /(?:insert\s+into|update(?:\s+only)?|delete\s+from(?:\s+only)?|merge\s+into|copy)\s+([\w."$]+)/i
      WRITE = /#{LEAD}#{TABLE}/i
      CTE = /#{LEAD}with\b/i
      # Query tags may be long, but not this long.
      HEAD_BYTES = 2_000

      # @param sql [String]
      # @return [Array<String>, nil] names of tables that it may write to, without those of their schemas; nil: to none
      def self.tables(sql)
        head = sql.byteslice(0, HEAD_BYTES).b
        return [bare(WRITE.match(head)[1])] if WRITE.match?(head)

        sql.b.scan(TABLE).map { |name,| bare(name) }.presence if CTE.match?(head)
      end

      def self.bare(name)
        name.delete('"').split(".").last
      end
      private_class_method :bare

      # @param sql [String]
      def initialize(sql)
        # Looked at byte by byte: it may hold anything.
        @sql = sql.to_s.b
      end

      # @return [Boolean] whether it is about the transaction or the session, rather than about rows
      def control?
        CONTROL.match?(@sql)
      end

      # @return [Array(Symbol, String), nil] what it does with which savepoint
      def savepoint
        SAVEPOINTS.each do |action, pattern|
          match = pattern.match(@sql)
          return [action, match[1]] if match
        end
        nil
      end

      # @return [Boolean] whether something is rolled back that is not its first word
      def rolls_back_inside?
        !control? && @sql.match?(/rollback|abort/i)
      end

      # @return [Boolean]
      def may_write?
        WRITES.match?(@sql)
      end
    end
  end
end
