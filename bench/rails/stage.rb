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

# The same for triggers: its table has them.
class Lorry < ActiveRecord::Base
  include ReplicatesTo

  replicates_to :billing, only: %i[plate number]
end

# One benchmark's database, and what is measured on it.
module Stage
  WITHOUT = "without the gem"
  # How a change is noted, if it is; coverage is the configuration's.
  Way = Struct.new(:name, :model, :coverage, :noted) do
    def within(&block)
      noted ? yield : ReplicatesTo.disabled(&block)
    end
  end
  WAYS = [
    Way.new("callbacks", Car, "callbacks", true), Way.new("triggers", Lorry, "triggers", true), Way.new(WITHOUT, Car, "callbacks", false)
  ].freeze

  module_function

  # @param more [Integer] columns that are not published, and an index on the first of them
  # @yield with the tables and the topics made
  def set(more: 0)
    database = Database.create(:postgresql)
    configure
    ActiveRecord::Base.establish_connection(database.config)
    Models.migration_class.new.tap { |migration| migration.verbose = false }.migrate(:up)
    [Car, Lorry].each { |model| create_table(model, more) }
    Lorry.connection.execute(ReplicatesTo::Triggers::Definition.new(Lorry).create)
    yield
    ReplicatesTo.close
  ensure
    ActiveRecord::Base.remove_connection
    database.drop
  end

  # Milliseconds of each way, in rounds that take turns; what a round leaves to do is done before the next one. The
  # first round warms up.
  #
  # @param work [#call] what is measured, given a model
  # @yield after each round of a way
  # @return [Hash{String => Array<Float>}] sorted, by the name of the way
  def rounds(number, work)
    samples = WAYS.to_h { |way| [way.name, []] }
    (number + 1).times do |round|
      WAYS.each do |way|
        cover(way)
        GC.start
        started = monotonic
        way.within { work.call(way.model) }
        samples[way.name] << ((monotonic - started) * 1_000) unless round.zero?
        yield way
      end
    end
    samples.transform_values(&:sort)
  end

  # @param way [Way] which the configuration is to have now
  # @return [void]
  def cover(way)
    ReplicatesTo.configure { |c| c.coverage = way.coverage }
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
  # @param settings [Hash{String => Hash}] by the name of the way
  # @return [void] each way with the gem as a line of JSON, beside the one without
  def report(name, unit, samples, records:, per: 1, settings: {})
    per_unit = samples.transform_values { |sorted| sorted.map { |milliseconds| milliseconds * 1_000 / per } }
    without = per_unit.delete(WITHOUT)
    per_unit.each do |way, own|
      puts JSON.generate(
        name: "#{name}, #{way}", unit: unit, value: median(own), min: own.first.round(1), median: median(own),
        p99: own[(own.size * 0.99).ceil - 1].round(1), samples: own.size, records: records * own.size, cpu_us_per_record: nil,
        records_per_second: (records * own.size / samples[way].sum * 1_000).round, settings: settings.fetch(way, {}),
        baseline: {name: WITHOUT, value: median(without), ratio: (median(own) / median(without)).round(2), samples: without.size}
      )
    end
  end

  def median(sorted)
    sorted[sorted.size / 2].round(1)
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

  def create_table(model, more)
    ActiveRecord::Base.connection.create_table(model.table_name) do |t|
      t.string :plate
      t.bigint :number, null: false, default: 0
      t.timestamps
      more.times { |number| t.string "more_#{number}", default: "a value of #{number}", index: number.zero? }
    end
    model.reset_column_information
    producer = ReplicatesTo::Kafka.producer
    producer.create_topic(ReplicatesTo.mapping(model, :billing).topic, 8, -1, 30)
    producer.close(0)
  end
  private_class_method :create_table

  def monotonic
    Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
