# frozen_string_literal: true

# SEED_ROWS vehicles as they were before anything was replicated: written past the gem, so that only a backfill
# brings them to billing.
rows = Integer(ENV.fetch("SEED_ROWS", 1_000))
now = Time.current
batch = 1_000

ReplicatesTo.disabled do
  (1..rows).each_slice(batch) do |numbers|
    Vehicle.insert_all!(numbers.map do |number|
      {vin: format("SEED%013d", number), plate: "OLD-#{number}", price: number % 10_000, built_on: Date.new(2001),
       created_at: now, updated_at: now}
    end)
  end
end
