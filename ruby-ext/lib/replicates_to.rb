# frozen_string_literal: true

require "active_record"
require "replicates_to/version"
require "replicates_to/errors"
require "replicates_to/nearest"
require "replicates_to/configuration"
require "replicates_to/registry"
require "replicates_to/primary_key"
require "replicates_to/outbox"
require "replicates_to/origin"
require "replicates_to/note"
require "replicates_to/notes"
require "replicates_to/former_row"
require "replicates_to/noting"
require "replicates_to/fan_out"
require "replicates_to/bulk_writes"
require "replicates_to/on_demand"
require "replicates_to/triggers"
require "replicates_to/rails_private"
require "replicates_to/mapping"
require "replicates_to/neutral"
require "replicates_to/fresh_rows"
require "replicates_to/model"
require "replicates_to/kafka"
require "replicates_to/log_subscriber"
require "replicates_to/publisher"
require "replicates_to/publisher/topics"

# Rows of this application, in the shape that other applications want them, for as long as both live.
#
# `include ReplicatesTo` in a model adds {ReplicatesTo::Model#replicates_to}.
module ReplicatesTo
  # The native extension: encodes records and talks to Kafka. Loaded when the first record is published.
  autoload :Native, "replicates_to/native"
  # What `transport: memory` puts in the publisher's place.
  autoload :Memory, "replicates_to/memory"

  # Bits of a version that are the outbox row's id; the generation is above them.
  VERSION_BITS = 48

  @mutex = Mutex.new

  class << self
    # Puts the gem into a model without putting this module, and its constants, among the model's ancestors.
    def append_features(base)
      unless base.is_a?(Class) && base < ActiveRecord::Base
        raise DeclarationError, "ReplicatesTo can only be included in an ActiveRecord class, not in #{base.name || base.inspect}"
      end

      base.extend(Model, RailsPrivate::WriteStatements)
      base.include(OnDemand::Row)
    end

    # Sets configuration keys in Ruby; environment variables still win.
    #
    # @yieldparam assignments [Configuration::Assignments] `c.kafka.brokers = "kafka:9092"`
    # @return [void]
    def configure
      yield(@assignments ||= Configuration::Assignments.new)
      @config = nil
    end

    # @return [Configuration] read once
    # @raise [ConfigurationError] listing every problem
    def config
      @config ||= @mutex.synchronize { @config || Configuration::Loader.load(@assignments&.assigned || {}) }
    end

    # @return [Boolean] whether the configuration has been read
    # @api private
    def configured?
      !@config.nil?
    end

    # @return [Boolean] whether writes of this thread are noted at this moment
    def enabled?
      Noting.on?
    end

    # Writes made by this thread inside the block are not noted, wherever they commit.
    #
    # @yield nests, and may raise
    # @return [Object] the block's value
    def disabled(&block)
      Noting.without(&block)
    end

    # Writes made by this thread inside the block were caused by a record of that application: they are not published to the
    # destination of its name. The receiver does this for what it applies.
    #
    # @param source [String]
    # @yield nests, and may raise
    # @return [Object] the block's value
    def with_origin(source, &block)
      Origin.within(source, &block)
    end

    # @param timeout [Numeric] seconds
    # @return [Boolean] whether every record of this process since the last flush has Kafka's acknowledgement
    def flush(timeout: 5)
      publisher.flush(timeout)
    end

    # Hands over what is waiting and stops publishing in this process; what is left stays in the outbox.
    #
    # @param timeout [Numeric] seconds
    # @return [Boolean] whether nothing was left
    def close(timeout: config["exit_deadline"])
      publisher.close(timeout)
    end

    # @return [Hash{Symbol => Numeric}] `queued_records queued_bytes acknowledged failed` of this process, and
    #   `outbox_rows outbox_failing oldest_outbox_seconds` of its databases
    def status
      Status.read(publisher)
    end

    # @return [Array<Class>] replicated models that are loaded
    def models
      Registry.models
    end

    # @param model [Class]
    # @param destination [Symbol, String]
    # @return [Mapping] with `names`, `types` and `fingerprint`
    # @raise [MappingError] when the declaration does not fit the table
    def mapping(model, destination)
      model.replicates_to_mapping(destination.to_sym)
    end

    # @return [Publisher, Memory] of this process, as `transport` says; a forked child makes its own
    # @api private
    def publisher
      return @publisher if @publisher&.pid == Process.pid

      kind = config.memory? ? Memory : Publisher
      @mutex.synchronize { @publisher = kind.new unless @publisher&.pid == Process.pid }
      @publisher
    end
  end
end

require "replicates_to/status"
require "replicates_to/configuration/loader"

ActiveSupport.on_load(:active_record) { ReplicatesTo::RailsPrivate.install }
require "replicates_to/railtie" if defined?(Rails::Railtie)
