# frozen_string_literal: true

require "rspec/core"
require "rspec/expectations"
require "replicates_to/testing/expectation"
require "replicates_to/testing/difference"

module ReplicatesTo
  module Testing
    # In every example group: `expect { … }.to replicate(vehicle).to(:billing).as(:update).with(registration: "KA-01")`.
    module Matchers
      # @param subject [ActiveRecord::Base, Class] a row, or all rows of a model
      # @return [Replicate]
      def replicate(subject)
        Replicate.new(subject)
      end

      # Matches a block that publishes a record.
      class Replicate
        include RSpec::Matchers::Composable

        def initialize(subject)
          @subject = subject
          @attributes = {}
        end

        # @param destination [Symbol, String]
        # @return [self]
        def to(destination)
          @destination = destination
          self
        end

        # @param operation [Symbol, String] create, update, delete or snapshot
        # @return [self]
        def as(operation)
          @operation = operation
          self
        end

        # @param attributes [Hash] by public name; values may be matchers
        # @return [self]
        def with(attributes)
          @attributes = @attributes.merge(attributes)
          self
        end

        # @return [Boolean]
        def matches?(block)
          publish(block)
          @records.any? { |record| @expectation.met_by?(record) }
        end

        # @return [Boolean]
        def does_not_match?(block)
          publish(block)
          @records.none? { |record| @expectation.met_by?(record) }
        end

        # @return [Boolean]
        def supports_block_expectations?
          true
        end

        # @return [Boolean]
        def supports_value_expectations?
          false
        end

        # @return [String]
        def description
          "replicate #{expectation}"
        end

        # @return [String]
        def failure_message
          Difference.missing(@expectation, @records)
        end

        # @return [String]
        def failure_message_when_negated
          Difference.unexpected(@expectation.to_s, @records.select { |record| @expectation.met_by?(record) })
        end

        private

        def publish(block)
          @expectation = expectation
          @records, = Testing.during(&block)
        end

        def expectation
          Expectation.new(@subject, to: @destination, operation: @operation, attributes: @attributes)
        end
      end
    end
  end
end

RSpec.configure do |config|
  config.include ReplicatesTo::Testing::Matchers
  config.before { ReplicatesTo::Testing.clear }
end
