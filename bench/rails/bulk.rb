# frozen_string_literal: true

# What `update_all` of 200,000 rows pays for its outbox rows, beside the same statement without the gem
# (`ReplicatesTo.disabled`). Their records are the sweep's work and not part of this: the outbox is emptied between rounds.
#
#     ruby bench/rails/bulk.rb

require_relative "stage"

ROUNDS = 5
ROWS = 200_000
WITHOUT = "without the gem"

def update
  changed = Car.update_all("number = number + 1")
  abort "#{changed} rows were changed instead of #{ROWS}" unless changed == ROWS
end

Stage.set do
  connection = Car.connection
  connection.execute("insert into cars (plate, created_at, updated_at) select 'KA-' || n, now(), now() from generate_series(1, #{ROWS}) n")
  noted = nil
  samples = Stage.rounds(ROUNDS, "with the gem" => -> { update }, WITHOUT => -> { ReplicatesTo.disabled { update } }) do
    rows = connection.select_value("select count(*) from replicates_to_outbox")
    noted = rows if rows.positive?
    connection.execute("truncate replicates_to_outbox")
    # Dead rows of one way would cost the other.
    connection.execute("vacuum cars")
  end
  Stage.report("bulk", "us_per_row", samples, WITHOUT, records: ROWS, per: ROWS, settings: {rows: ROWS, outbox_rows: noted})
end
