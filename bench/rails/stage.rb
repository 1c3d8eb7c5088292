# frozen_string_literal: true

# A Rails application's side of a benchmark: a database of its own in PostgreSQL with a replicated table, the gem as an
# application has it, and rounds that take turns, so that a noisy machine disturbs all sides alike.

$LOAD_PATH.unshift File.expand_path("../../ruby-ext/lib", __dir__)

require "json"
require "securerandom"
require "active_record"
require "replicates_to"
require_relative "../../ruby-ext/spec/support/services"
require_relative "../../ruby-ext/spec/support/database"
require_relative "../../ruby-ext/spec/support/models"

class Car < ActiveRecord::Base
  include ReplicatesTo

  replicates_to :billing, only: %i[plate number]
end

# One benchmark's database, and what is measured on it.
module Stage
  module_function

  # @yield with the tables and the topic made
  def set
    database = Database.create(:postgresql)
    configure
    ActiveRecord::Base.establish_connection(database.config)
    Models.migration_class.new.tap { |migration| migration.verbose = false }.migrate(:up)
    create_table
    yield
    ReplicatesTo.close
  ensure
    ActiveRecord::Base.remove_connection
    database.drop
  end

  # Milliseconds of each way, in rounds that take turns; what a round leaves to do is done before the next one. The
  # first round warms up.
  #
  # @param ways [Hash{String => #call}]
  # @yield after each round of a way
  # @return [Hash{String => Array<Float>}] sorted
  def rounds(number, ways)
    samples = ways.transform_values { [] }
    (number + 1).times do |round|
      ways.each do |name, way|
        GC.start
        started = monotonic
        way.call
        samples[name] << ((monotonic - started) * 1_000) unless round.zero?
        yield
      end
    end
    samples.transform_values(&:sort)
  end

  # @return [Integer] statements that the block runs in this thread, BEGIN and COMMIT left out
  def statements(&block)
    count = 0
    here = Thread.current
    counter = ->(*, payload) { count += 1 unless Thread.current != here || %w[SCHEMA TRANSACTION].include?(payload[:name]) }
    ActiveSupport::Notifications.subscribed(counter, "sql.active_record", &block)
    count
  end

  # @param per [Integer] what one round's time is divided by
  # @return [void] one result as a line of JSON
  def report(name, unit, samples, baseline, records:, per: 1, settings: {})
    median = samples.transform_values { |sorted| sorted[sorted.size / 2] * 1_000 / per }
    (ours, own), (theirs, other) = samples.first, [baseline, samples.fetch(baseline)]
    puts JSON.generate(
      name: name, unit: unit, value: median[ours].round(1), min: (own.first * 1_000 / per).round(1), median: median[ours].round(1),
      p99: (own[(own.size * 0.99).ceil - 1] * 1_000 / per).round(1), samples: own.size, records: records * own.size,
      cpu_us_per_record: nil, records_per_second: (records * own.size / own.sum * 1_000).round, settings: settings,
      baseline: {name: theirs, value: median[theirs].round(1), ratio: (median[ours] / median[theirs]).round(2), samples: other.size}
    )
  end

  def configure
    ReplicatesTo.configure do |c|
      c.source = "monolith"
      c.kafka.brokers = Services.brokers
      c.kafka.topic_prefix = "bench#{SecureRandom.hex(4)}."
      # What a round leaves in the outbox is counted, and thrown away.
      c.sweep.in_process = false
    end
  end
  private_class_method :configure

  def create_table
    ActiveRecord::Base.connection.create_table(:cars) do |t|
      t.string :plate
      t.bigint :number, null: false, default: 0
      t.timestamps
    end
    Car.reset_column_information
    producer = ReplicatesTo::Kafka.producer
    producer.create_topic(ReplicatesTo.mapping(Car, :billing).topic, 8, -1, 30)
    producer.close(0)
  end
  private_class_method :create_table

  def monotonic
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
