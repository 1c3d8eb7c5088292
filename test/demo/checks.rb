# frozen_string_literal: true

require_relative "../stack/patience"

module Demo
  # Runs steps and prints a line for each: `ok` only when its block came to its end without a failed expectation. Steps
  # build on each other, so the first that fails is the last that is played.
  class Checks
    include Stack::Patience
    public :eventually

    def initialize
      @passed = 0
      @failed = 0
      @left_out = 0
    end

    # @param name [String] what is shown to work
    # @yieldreturn [String, nil] a detail for the line
    def step(name)
      return @left_out += 1 if failed?

      started = clock
      detail = yield
      @passed += 1
      puts format("ok    %s%s  (%.1f s)", name, detail.is_a?(String) ? ": #{detail}" : "", clock - started)
    rescue StandardError => e
      @failed += 1
      puts "FAIL  #{name}: #{e.message}"
      puts(e.backtrace.first(5).map { |line| "        #{line}" }) unless e.is_a?(Stack::Failed)
    end

    # @param what [String] in words, for the failure
    # @raise [Stack::Failed] unless the block's value is true
    def expect(what)
      yield || raise(Stack::Failed, "expected that #{what}")
    end

    def failed?
      @failed.positive?
    end

    # @return [String]
    def summary
      "#{@passed} steps ok, #{@failed} failed#{", #{@left_out} not played" if failed?}"
    end
  end
end
