# frozen_string_literal: true

# The Rails side of `bench latency`: creates rows in PostgreSQL at a steady rate, through the gem as an application has
# it, and prints when each was committed.
#
#     ruby bench/latency/writer.rb TOPIC_PREFIX WARM_UP RECORDS RATE
#
# Writes WARM_UP rows, waits for a line on its input, writes RECORDS more, RATE a second, and prints one JSON object:
# the key of each counted row, and the moment its COMMIT returned, in nanoseconds since 1970.

$LOAD_PATH.unshift File.expand_path("../../ruby-ext/lib", __dir__)

require "json"
require "active_record"
require "replicates_to"
require_relative "../../ruby-ext/spec/support/services"
require_relative "../../ruby-ext/spec/support/database"
require_relative "../../ruby-ext/spec/support/models"

prefix, *numbers = ARGV
warm_up, records, rate = numbers.map { |text| Integer(text) }

ReplicatesTo.configure do |c|
  c.source = "monolith"
  c.kafka.brokers = Services.brokers
  c.kafka.topic_prefix = prefix
end

class Car < ActiveRecord::Base
  include ReplicatesTo

  replicates_to :billing, as: "Vehicle"
end

def now
  Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
end

def create(number)
  Car.create!(
    body_style: "estate, five doors", color: "night blue", comment: "Handed over with two keys, winter tyres in the boot.",
    mileage_km: number, owner_id: number % 1_000, price: "10499.50", registration: "KA-01-HH-1234", vin: "WDB9066331S123456"
  ).id.to_s
end

database = Database.create(:postgresql)
begin
  ActiveRecord::Base.establish_connection(database.config)
  Models.migration_class.new.tap { |migration| migration.verbose = false }.migrate(:up)
  ActiveRecord::Base.connection.create_table(:cars) do |t|
    %i[body_style color comment registration vin].each { |name| t.string name }
    t.bigint :mileage_km
    t.bigint :owner_id
    t.decimal :price, precision: 12, scale: 2
  end

  committed_at = nil
  writer = Thread.current
  ActiveSupport::Notifications.subscribe("sql.active_record") do |event|
    committed_at = now if event.payload[:sql] == "COMMIT" && Thread.current == writer
  end

  warm_up.times { |number| create(number) }
  $stdin.gets or abort "nobody wants to know"
  started = now
  commits = Array.new(records) do |number|
    pause = (started + (number * 1_000_000_000 / rate) - now) / 1e9
    sleep(pause) if pause.positive?
    [create(number), committed_at]
  end
  ReplicatesTo.flush(timeout: 30) or abort "not everything was acknowledged"
  puts JSON.generate(commits.to_h)
  ReplicatesTo.close
ensure
  ActiveRecord::Base.remove_connection
  database.drop
end
