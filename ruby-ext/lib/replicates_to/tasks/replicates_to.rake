# frozen_string_literal: true

# Results go to stdout, and the exit code says how it went: 0 done, 1 a problem, 130 interrupted.
namespace :replicates_to do
  finish = ->(code) { exit(code) unless code.zero? }

  task models: :environment do
    require "replicates_to/command"
    Rails.application.eager_load!
  end

  desc "Check configuration, mappings, outbox and Kafka (CREATE_TOPICS=1, FORMAT=json)"
  task check: :models do
    finish.call ReplicatesTo::Command.check
  end

  desc "Publish existing rows: [Vehicle,billing] (SCOPE= WHERE= RATE= BATCH= FENCE_TIMEOUT= DRY_RUN=1 NEW=1, FORMAT=json)"
  task :backfill, [:model] => :models do |_, arguments|
    finish.call ReplicatesTo::Command.backfill([arguments[:model], *arguments.extras].compact)
  end

  desc "Publish what other processes left in the outbox (ONCE=1, AFTER=10s, FORMAT=json)"
  task sweep: :models do
    finish.call ReplicatesTo::Command.sweep
  end

  desc "Show what waits in the outbox, and runs (FORMAT=json)"
  task status: :models do
    finish.call ReplicatesTo::Command.status
  end
end
