# frozen_string_literal: true

require_relative "base"
require_relative "services"

module Stack
  # Real Kafka and PostgreSQL: topics, group and databases have names of their own, because others may use the same
  # servers.
  class Real < Base
    DATABASES = %w[monolith billing relay].freeze

    # @return [Services]
    attr_reader :kafka, :postgres

    # @param folder [Folder]
    # @param kafka [Services] where the broker runs; the repository's services by default
    def initialize(folder, kafka: nil)
      super(folder)
      @run = "stack_#{SecureRandom.hex(4)}"
      @postgres = Services.new(folder)
      @kafka = kafka || @postgres
    end

    def start
      postgres.up("postgres")
      kafka.up("kafka")
      DATABASES.each { |name| postgres.administrate("create database #{database(name)}") }
      super
    end

    def stop
      super
      DATABASES.each { |name| postgres.administrate("drop database if exists #{database(name)} with (force)") }
      [kafka, postgres].uniq.each(&:restore)
    end

    # @return [Database] the relay's
    def store
      @store ||= Database.new(database_url("relay"))
    end

    # @return [String] what it is made of
    def description
      "relay serve on Kafka and PostgreSQL of bin/services, topics #{topic_prefix}*, databases #{@run}_*."
    end

    def relay_expendable?
      true
    end

    def triggers?
      true
    end

    private

    def build_relay
      admin_port = FreePort.choose
      config = @folder.file("relay.toml")
      File.write(config, relay_toml(admin_port))
      Relay.new(@folder, ["serve", "--migrate", "--config", config], admin_port: admin_port,
                env: {"RELAY_DATABASE_URL" => database_url("relay"), "BILLING_WEBHOOK_SECRET" => @secret})
    end

    def relay_toml(admin_port)
      <<~TOML
        [relay]
        name = "stack"
        [kafka]
        brokers = ["#{brokers}"]
        topic_prefix = "#{topic_prefix}"
        group_prefix = "#{topic_prefix}"
        [store]
        url = "env:RELAY_DATABASE_URL"
        [admin]
        listen = "127.0.0.1:#{admin_port}"
        [defaults.egress]
        allow = ["127.0.0.0/8", "::1/128"]
        [destinations.billing]
        url = "#{receiver_url}"
        [destinations.billing.signing]
        secrets = ["env:BILLING_WEBHOOK_SECRET"]
      TOML
    end

    def monolith_env
      super.merge("REPLICATES_TO_KAFKA_TOPIC_PREFIX" => topic_prefix)
    end

    def topic_prefix
      "#{@run}."
    end

    def brokers
      kafka.brokers
    end

    def database(name)
      "#{@run}_#{name}"
    end

    def database_url(name)
      postgres.database_url(database(name))
    end
  end
end
