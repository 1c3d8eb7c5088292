# frozen_string_literal: true

require "replicates_to/backfill"
require "replicates_to/check"

module ReplicatesTo
  # What the rake tasks do: each command prints to an IO and returns the exit code of INTERFACE.
  module Command
    OK = 0
    PROBLEM = 1
    INTERRUPTED = 130

    module_function

    # @param out [IO]
    # @param env [#[]] CREATE_TOPICS, FORMAT
    # @return [Integer]
    def check(out: $stdout, env: ENV)
      Check.new(out, create_topics: env["CREATE_TOPICS"] == "1", json: json?(env)).run ? OK : PROBLEM
    end

    # @param arguments [Array<String>] model, destinations
    # @return [Integer]
    def backfill(arguments, out: $stdout, env: ENV)
      model, *destinations = arguments
      raise ConfigurationError, "name a model: rake replicates_to:backfill[Vehicle,billing]" if model.nil?

      options = Backfill::Options.new(model, destinations, env)
      run = Backfill.new(options, progress: Backfill::Progress.new(out, json: json?(env))).run
      run.failed.zero? ? OK : PROBLEM
    rescue Interrupt
      INTERRUPTED
    rescue Error => e
      complain(e, out, env)
    end

    # @return [Integer]
    def sweep(out: $stdout, env: ENV)
      raise ConfigurationError, "a sweep publishes to Kafka, and transport is memory" if ReplicatesTo.config.memory?

      after = env["AFTER"].to_s.empty? ? ReplicatesTo.config["sweep.after"] : Configuration::Values.duration(env["AFTER"])
      ForegroundSweep.new(out, after: after, json: json?(env)).run(once: env["ONCE"] == "1") ? OK : PROBLEM
    rescue Interrupt
      INTERRUPTED
    rescue ArgumentError => e
      complain(ConfigurationError.new("AFTER #{e.message}"), out, env)
    rescue Error => e
      complain(e, out, env)
    end

    # @return [Integer]
    def status(out: $stdout, env: ENV)
      StatusReport.new(out, json: json?(env)).print
      OK
    rescue Error => e
      complain(e, out, env)
    end

    def json?(env)
      env["FORMAT"] == "json"
    end
    private_class_method :json?

    def complain(error, out, env)
      json?(env) ? out.puts(JSON.generate(error: error.message)) : warn("#{error.class.name.demodulize}: #{error.message}")
      PROBLEM
    end
    private_class_method :complain
  end
end

require "replicates_to/command/foreground_sweep"
require "replicates_to/command/status_report"
