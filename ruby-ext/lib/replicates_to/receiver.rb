# frozen_string_literal: true

require "active_support"
require "active_support/notifications"
require "active_record"
require "replicates_to/errors"
require "replicates_to/origin"
require "replicates_to/log_subscriber"
require "replicates_to/receiver/outcome"
require "replicates_to/receiver/record"
require "replicates_to/receiver/signature"
require "replicates_to/receiver/row"
require "replicates_to/receiver/upsert"
require "replicates_to/receiver/block_handler"
require "replicates_to/receiver/configuration"
require "replicates_to/receiver/version_guard"
require "replicates_to/receiver/refusal"
require "replicates_to/receiver/applier"
require "replicates_to/receiver/answer"
require "replicates_to/receiver/request"
require "replicates_to/receiver/report"
require "replicates_to/receiver/log_subscriber"
require "replicates_to/receiver/endpoint"

module ReplicatesTo
  # The consumer's side: a Rack app that takes the records which the relay sends and writes them into this
  # application's own tables. It needs neither the native extension nor Kafka.
  #
  #   ReplicatesTo::Receiver.configure do |r|
  #     r.secrets = [ENV.fetch("BILLING_WEBHOOK_SECRET")]
  #     r.upsert "Vehicle", into: "Car", key: :external_id, rename: {registration: :plate}
  #     r.on("Driver") { |record| Roster.apply(record) }
  #   end
  #
  #   mount ReplicatesTo::Receiver => "/replicates_to"   # config/routes.rb
  module Receiver
    class << self
      # Declares secrets and handlers. A second call replaces the first.
      # @yieldparam r [Configuration]
      # @raise [ConfigurationError] without secrets (unless `allow_unsigned`), or for a bad declaration
      def configure
        configuration = Configuration.new
        yield configuration
        configuration.check!
        @endpoint = Endpoint.new(configuration)
        nil
      end

      # The Rack entry point.
      # @param env [Hash]
      # @return [Array(Integer, Hash, Array<String>)]
      # @raise [ConfigurationError] when {configure} was never called
      def call(env)
        raise ConfigurationError, "ReplicatesTo::Receiver is not configured" unless @endpoint

        @endpoint.call(env)
      end
    end
  end
end
