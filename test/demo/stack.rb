# frozen_string_literal: true

require "securerandom"
require_relative "checks"
require_relative "comparison"
require_relative "rails_app"
require_relative "relay"

module Demo
  # Everything that runs: the relay, the monolith, billing. Subclasses say where the broker and the databases are.
  class Stack
    # The monolith sweeps sooner than by default, so that nobody waits for it here.
    SWEEP = {"REPLICATES_TO_SWEEP_AFTER" => "2s", "REPLICATES_TO_SWEEP_INTERVAL" => "1s"}.freeze

    # @return [RailsApp]
    attr_reader :monolith, :billing
    # @return [Relay]
    attr_reader :relay

    def initialize
      take_folder
      @secret = "whsec_#{[SecureRandom.bytes(32)].pack('m0')}"
      @checks = Checks.new
    end

    def start
      Relay.build
      puts banner, ""
      @billing = RailsApp.new("billing", database_url: database_url("billing"), env: {"BILLING_WEBHOOK_SECRET" => @secret})
      @relay = build_relay
      @monolith = RailsApp.new("monolith", database_url: database_url("monolith"), env: monolith_env)
      [billing, monolith].each(&:migrate)
      relay.start(@checks)
      billing.start(@checks)
      monolith.rake("replicates_to:check", env: {"CREATE_TOPICS" => "1"})
      monolith.start(@checks)
    end

    # Ends what was started, the producer first, so that nothing is left on its way.
    def stop
      [monolith, relay, billing].compact.each(&:stop)
    end

    # @return [Comparison]
    def comparison
      @comparison ||= Comparison.new(Database.new(monolith.database_url), Database.new(billing.database_url))
    end

    # @return [Integer] changes that Kafka has not acknowledged
    def outbox_rows
      Database.new(monolith.database_url).count("replicates_to_outbox")
    end

    # @return [Boolean] whether the relay can be killed without losing the broker
    def relay_expendable?
      false
    end

    # @return [String]
    def what_to_try
      <<~TEXT
        monolith  #{monolith.http.url}
        billing   #{billing.http.url}
        relay     #{relay.http.url}/readyz  /metrics  /api/v1/destinations

        Change a row, and look at billing:
          curl -X POST #{monolith.http.url}/vehicles -H 'content-type: application/json' -d '{"plate":"KA-07","price":"9900.00"}'
        Let billing refuse one, find it, mend billing, send it again:
          curl -X POST #{monolith.http.url}/vehicles -H 'content-type: application/json' -d '{"plate":"KA-08","price":"5000000.00"}'
          bin/relay failures --url #{relay.http.url}
          curl -X PATCH #{billing.http.url}/setting -H 'content-type: application/json' -d '{"price_max":"9000000"}'
          bin/relay retry ID --url #{relay.http.url}
        See the last requests:
          bin/relay tail --url #{relay.http.url}
      TEXT
    end

    private

    # The lock is held until this process ends.
    def take_folder
      FileUtils.mkdir_p(File.dirname(FOLDER))
      @lock = File.open("#{FOLDER}.lock", "w")
      raise Failed, "another demo is running in #{FOLDER}" unless @lock.flock(File::LOCK_EX | File::LOCK_NB)

      FileUtils.rm_rf(FOLDER)
      FileUtils.mkdir_p(FOLDER)
    end

    def monolith_env
      SWEEP.merge("REPLICATES_TO_KAFKA_BROKERS" => brokers)
    end

    def receiver_url
      "#{billing.http.url}/replicates_to"
    end
  end
end
