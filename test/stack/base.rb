# frozen_string_literal: true

require "securerandom"
require_relative "comparison"
require_relative "rails_app"
require_relative "relay"

# Everything that runs, end to end: monolith, broker, relay, billing.
module Stack
  # What all stacks have in common. Subclasses say where the broker and the databases are.
  class Base
    # The monolith sweeps sooner than by default, so that nobody waits for it here.
    SWEEP = {"REPLICATES_TO_SWEEP_AFTER" => "2s", "REPLICATES_TO_SWEEP_INTERVAL" => "1s"}.freeze

    # @return [RailsApp]
    attr_reader :monolith, :billing
    # @return [Relay]
    attr_reader :relay

    # @param folder [Folder]
    def initialize(folder)
      @folder = folder
      @secret = "whsec_#{[SecureRandom.bytes(32)].pack('m0')}"
    end

    def start
      Relay.build(@folder)
      @billing = RailsApp.new(@folder, "billing", database_url: database_url("billing"), env: {"BILLING_WEBHOOK_SECRET" => @secret})
      @relay = build_relay
      @monolith = RailsApp.new(@folder, "monolith", database_url: database_url("monolith"), env: monolith_env)
      [billing, monolith].each(&:migrate)
      relay.start
      billing.start
      monolith.rake("replicates_to:check", env: {"CREATE_TOPICS" => "1"})
      monolith.start
    end

    # Ends what was started, the producer first, so that nothing is left on its way.
    def stop
      [monolith, relay, billing].compact.each(&:stop)
    end

    # @return [Comparison]
    def comparison
      @comparison ||= Comparison.new(source, replica)
    end

    # @return [Database] the monolith's
    def source
      @source ||= Database.new(monolith.database_url)
    end

    # @return [Database] billing's
    def replica
      @replica ||= Database.new(billing.database_url)
    end

    # @return [Integer] changes that Kafka has not acknowledged
    def outbox_rows
      source.count("replicates_to_outbox")
    end

    # Waits until billing's tables are what the monolith's say they must be.
    # @raise [Failed] with the first difference
    def expect_both_equal(**patience)
      difference = nil
      Patience.eventually("both databases agree", **patience) { (difference = comparison.difference).nil? }
    rescue Failed => e
      raise Failed, "#{e.message}: #{difference}"
    end

    # @return [Boolean] whether the relay can be killed without losing the broker
    def relay_expendable?
      false
    end

    # @return [Boolean] whether the monolith's database can note changes by triggers
    def triggers?
      false
    end

    private

    def monolith_env
      SWEEP.merge("REPLICATES_TO_KAFKA_BROKERS" => brokers)
    end

    def receiver_url
      "#{billing.http.url}/replicates_to"
    end
  end
end
