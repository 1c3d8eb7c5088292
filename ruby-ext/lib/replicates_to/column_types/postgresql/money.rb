# frozen_string_literal: true

module ReplicatesTo
  module ColumnTypes
    class PostgreSQL
      # Money is written with the separators, the signs and the currency of the session's `lc_monetary`: -$1,234.50,
      # ($1,234.50), -1.234,50 €. What is the same for all amounts is read off two of them: how many digits stand behind
      # the point, and what marks a negative one.
      class Money
        # @return [Integer] digits behind the point
        attr_reader :scale

        # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
        # @return [Money, nil] of its locale
        def self.of(connection)
          learn(*connection.select_rows("select 1::money::text, (-1)::money::text").first)
        end

        # @param positive [String] the text of 1
        # @param negative [String] the text of -1
        # @return [Money, nil] nil where a negative amount reads like a positive one
        def self.learn(positive, negative)
          marks = negative.chars - positive.chars
          new(positive.scan(/\d/).size - 1, marks.first) if marks.any?
        end

        # @param scale [Integer]
        # @param minus [String] what only negative amounts have
        def initialize(scale, minus)
          @scale = scale
          @minus = minus
        end

        # @param raw [String]
        # @return [BigDecimal]
        def decimal(raw)
          BigDecimal("#{'-' if raw.include?(@minus)}#{raw.scan(/\d/).join}e-#{scale}")
        end
      end
    end
  end
end
