# frozen_string_literal: true

require "minitest"
require "replicates_to/testing/expectation"
require "replicates_to/testing/difference"

module ReplicatesTo
  module Testing
    # In every test: `assert_replicates(vehicle, to: :billing, as: :update, with: {registration: "KA-01"}) { … }`.
    module Assertions
      # Forgets what earlier tests published.
      def before_setup
        super
        Testing.clear
      end

      # @param subject [ActiveRecord::Base, Class] a row, or all rows of a model
      # @param to [Symbol, String, nil] destination
      # @param as [Symbol, String, nil] create, update, delete or snapshot
      # @param with [Hash] attributes by public name
      # @yield what is to publish such a record
      # @return [Object] the block's value
      def assert_replicates(subject, to: nil, as: nil, with: {}, &block)
        expectation = Expectation.new(subject, to: to, operation: as, attributes: with)
        records, value = Testing.during(&block)
        assert(records.any? { |record| expectation.met_by?(record) }, -> { Difference.missing(expectation, records) })
        value
      end

      # @param subject [ActiveRecord::Base, Class, nil] nil: anything
      # @param to [Symbol, String, nil] destination of the subject
      # @yield what is not to publish any
      # @return [Object] the block's value
      def assert_no_replication(subject = nil, to: nil, &block)
        expectation = Expectation.new(subject, to: to) if subject
        records, value = Testing.during(&block)
        records = records.select { |record| expectation.met_by?(record) } if expectation
        assert(records.empty?, -> { Difference.unexpected(expectation ? expectation.to_s : "anything", records) })
        value
      end
    end
  end
end

Minitest::Test.include ReplicatesTo::Testing::Assertions
