# frozen_string_literal: true

require "replicates_to/errors"
require "replicates_to/nearest"
require "replicates_to/version"
require "replicates_to/receiver/signature"
require "replicates_to/testing/record"
require "replicates_to/testing/decoder"
require "replicates_to/testing/request"

module ReplicatesTo
  # For the tests of applications: what was published while they ran (`transport: memory`), and requests as the relay
  # sends them. Required from rails_helper.rb or test_helper.rb, behind the test framework, it brings the RSpec matcher
  # or the Minitest assertions along, and clears the records before each test. A consumer's tests need neither the
  # producer's side of the gem nor its native code.
  module Testing
    UNUSABLE = "ReplicatesTo::Testing needs transport: memory, and enabled: true, in the test section of config/replicates_to.yml"

    class << self
      # @param to [Symbol, String, nil] destination
      # @param model [Class, String, nil] a model, or a public name
      # @return [Array<Record>] published since the last {clear}, in the order in which they were
      # @raise [ConfigurationError] when this process does not publish into memory
      # @raise [Error] when older records had to make room
      def records(to: nil, model: nil)
        since(0).select { |record| (to.nil? || record.destination == to.to_s) && (model.nil? || record.of?(model)) }
      end

      # Forgets the records published so far.
      #
      # @return [void]
      def clear
        ReplicatesTo::Memory.kept.clear if defined?(ReplicatesTo::Memory)
      end

      # A request as the relay sends it: one record alone, or several in the shape of a batch.
      #
      # @param records [Record, Array<Record>]
      # @param secret [String, Array<String>] `whsec_…`; several sign as during a rotation, newest first
      # @param at [Time] when it is sent
      # @return [(Hash{String => String}, String)] headers and body
      # @raise [ConfigurationError] when a secret is not one
      # @raise [ArgumentError] when the relay would not put these records into one request
      def request(records, secret:, at: Time.now)
        Request.new(records, secret: secret, at: at).to_a
      end

      # @yield
      # @return [(Array<Record>, Object)] what was published meanwhile, and the block's value
      # @api private
      def during
        kept
        before = Memory.kept.added
        value = yield
        [since(before), value]
      end

      private

      def since(added)
        entries = kept.since(added)
        return entries.map { |entry| Decoder.record(entry.topic, entry.bytes) } if kept.dropped.zero?

        raise Error, "#{kept.dropped} records had to make room for later ones (queue.records_max, queue.bytes_max): " \
                     "call ReplicatesTo::Testing.clear earlier"
      end

      def kept
        config = ReplicatesTo.config if ReplicatesTo.respond_to?(:config)
        raise ConfigurationError, UNUSABLE unless config && config.memory? && config["enabled"]

        Memory.kept
      end
    end
  end
end

require "replicates_to/testing/rspec" if defined?(RSpec::Core)
require "replicates_to/testing/minitest" if defined?(Minitest::Test)
