# frozen_string_literal: true

require "rails/railtie"

module ReplicatesTo
  # Boots the gem inside a Rails application.
  class Railtie < Rails::Railtie
    # After the initializers, which may hold a configure block: a wrong value stops the boot.
    config.after_initialize do
      memory = ReplicatesTo.config.memory?
      Rails.logger&.warn("replicates_to: transport is memory: nothing reaches Kafka") if memory && !Rails.env.test?
    end

    # A server sweeps from its start, so that what a killed process left behind does not wait for the next write.
    server { ReplicatesTo.publisher.start if ReplicatesTo.config["enabled"] && ReplicatesTo.config["sweep.in_process"] }

    rake_tasks { load "replicates_to/tasks/replicates_to.rake" }
  end
end
