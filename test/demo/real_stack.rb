# frozen_string_literal: true

require_relative "stack"

module Demo
  # Real Kafka and PostgreSQL, run by bin/services: topics, group and databases have names of their own, because others
  # may use the same servers.
  class RealStack < Stack
    SERVICES = File.join(ROOT, "bin/services")

    def start
      @run = "demo_#{SecureRandom.hex(4)}"
      @ours = status.values.none? { |service| service["running"] }
      Child.run("services", SERVICES, "up")
      @services = status
      @databases = %w[monolith billing relay].each { |name| administrate("create database #{@run}_#{name}") }
      super
    end

    def stop
      super
      @databases&.each { |name| administrate("drop database if exists #{@run}_#{name} with (force)") }
      Child.run("services", SERVICES, "down") if @ours
    end

    def relay_expendable?
      true
    end

    private

    def banner
      "relay serve on Kafka at #{brokers} and PostgreSQL, topics #{topic_prefix}*, databases #{@run}_*."
    end

    def build_relay
      admin_port = Child.free_port
      config = File.join(FOLDER, "relay.toml")
      File.write(config, relay_toml(admin_port))
      Relay.new(["serve", "--migrate", "--config", config], admin_port: admin_port,
                env: {"RELAY_DATABASE_URL" => database_url("relay"), "BILLING_WEBHOOK_SECRET" => @secret})
    end

    def relay_toml(admin_port)
      <<~TOML
        [relay]
        name = "demo"
        [kafka]
        brokers = ["#{brokers}"]
        topic_prefix = "#{topic_prefix}"
        group_prefix = "#{topic_prefix}"
        [store]
        url = "env:RELAY_DATABASE_URL"
        [admin]
        listen = "127.0.0.1:#{admin_port}"
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
      @services.dig("kafka", "brokers")
    end

    def database_url(name)
      URI.parse(@services.dig("postgres", "url")).tap { |url| url.path = "/#{@run}_#{name}" }.to_s
    end

    def status
      JSON.parse(Child.run("services", SERVICES, "status", "--json", statuses: [0, 1]))
    end

    def administrate(sql)
      require "pg"
      connection = PG.connect(@services.dig("postgres", "url"))
      connection.exec(sql)
    ensure
      connection&.close
    end
  end
end
