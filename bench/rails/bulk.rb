# frozen_string_literal: true

# What `update_all` of 200,000 rows pays for its outbox rows, noted by the gem's statement or by triggers, beside the same
# without the gem (`ReplicatesTo.disabled`). Their records are the sweep's work and not part of this: the outbox is emptied
# between rounds. Once on a table of two columns beside id and timestamps, which costs little without the gem, and once with
# 18 columns more and a second index.
#
#     ruby bench/rails/bulk.rb

require_relative "stage"

ROUNDS = 5
ROWS = 200_000

UPDATE = lambda do |model|
  changed = model.update_all("number = number + 1")
  abort "#{changed} rows were changed instead of #{ROWS}" unless changed == ROWS
end

def measure(name, more)
  Stage.set(more: more) do
    connection = ActiveRecord::Base.connection
    ReplicatesTo.disabled do
      [Car, Lorry].each do |model|
        connection.execute("insert into #{model.table_name} (plate, created_at, updated_at)
                            select 'KA-' || n, now(), now() from generate_series(1, #{ROWS}) n")
      end
    end
    settings = {}
    samples = Stage.rounds(ROUNDS, UPDATE) do |way|
      settings[way.name] = {rows: ROWS, outbox_rows: connection.select_value("select count(*) from replicates_to_outbox")}
      connection.execute("truncate replicates_to_outbox")
      # Dead rows of one way would cost the other.
      connection.execute("vacuum #{way.model.table_name}")
    end
    Stage.report(name, "us_per_row", samples, records: ROWS, per: ROWS, settings: settings)
  end
end

measure("bulk", 18)
measure("bulk, narrow", 0)
