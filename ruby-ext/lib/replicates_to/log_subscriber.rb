# frozen_string_literal: true

require "active_support/log_subscriber"

module ReplicatesTo
  # Writes every log line of the gem. Payloads hold nothing sensitive: no values, only names, keys and counts.
  class LogSubscriber < ActiveSupport::LogSubscriber
    # A failure of the publisher's thread itself, rather than of a row.
    #
    # @param error [Exception]
    # @return [void]
    def self.failure(error)
      (ActiveRecord::Base.logger || ActiveSupport::LogSubscriber.logger)&.error(
        "replicates_to publisher: #{error.class}: #{error.message} (#{error.backtrace&.first})"
      )
    end

    # @return [void]
    def publish(event)
      debug { line("published", event, :model, :destinations, :records, :bytes, :queued, :full) }
    end

    # @return [void]
    def acknowledge(event)
      debug { line("acknowledged", event, :records, :failed, :deleted, :outbox_oldest_seconds) }
    end

    # @return [void]
    def error(event)
      exception = event.payload[:exception]
      logger&.error("#{line('cannot publish', event, :kind, :model, :primary_key, :destination)}: #{exception.class}: #{exception.message}")
    end

    # @return [void]
    def sweep(event)
      return if event.payload[:rows].zero?

      info { line("swept", event, :rows, :published, :failed, :oldest_seconds) }
    end

    # @return [void]
    def generation(event)
      warn { line("begins a new generation of versions:", event, :generation, :reason) }
    end

    # @return [void]
    def backfill(event)
      info { line("backfill", event, :run, :model, :destinations, :done, :total, :rows_per_second, :state) }
    end

    # @return [Logger, nil]
    def logger
      ActiveRecord::Base.logger || super
    end

    private

    def line(what, event, *names)
      fields = event.payload.slice(*names).compact.map { |name, value| "#{name}=#{Array(value).join(',')}" }
      "replicates_to #{what} #{fields.join(' ')} (#{event.duration.round(1)} ms)"
    end
  end
end

ReplicatesTo::LogSubscriber.attach_to :replicates_to
