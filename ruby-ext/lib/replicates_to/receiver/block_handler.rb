# frozen_string_literal: true

module ReplicatesTo
  module Receiver
    # A handler written by hand: `r.on("Driver") { |record| … }`. It runs inside the transaction of its record.
    class BlockHandler
      def initialize(block)
        @block = block
        freeze
      end

      # @return [Class] whose connection carries guard and write
      def database
        ActiveRecord::Base
      end

      # @param record [Record]
      # @return [Array<String>] a block tells nothing of unknown attributes
      def call(record)
        @block.call(record)
        []
      end
    end
  end
end
