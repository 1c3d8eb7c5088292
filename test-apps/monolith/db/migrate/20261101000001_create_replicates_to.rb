# frozen_string_literal: true

# What replicates_to keeps beside the rows it publishes: changes that Kafka has not acknowledged, and backfill runs.
class CreateReplicatesTo < ActiveRecord::Migration[6.1]
  def change
    create_outbox
    create_runs
    create_run_ranges
    create_identity
  end

  private

  # The id is a record's version. Its sequence must hand out ids in the order in which rows are written: CACHE 1 on
  # PostgreSQL, AUTOINCREMENT on SQLite, which are what create_table gives.
  def create_outbox
    create_table :replicates_to_outbox do |t|
      t.text :source, null: false
      t.text :model, null: false
      t.text :primary_key, null: false
      t.text :operation, null: false
      t.text :keys
      t.text :origin
      t.text :destinations
      # Rows of one transaction that name the same row become one record.
      t.bigint :transaction_id, default: (-> { "txid_current()" } unless sqlite?)
      t.column :created_at, instant, null: false
      t.integer :attempts, null: false, default: 0
      t.text :error
      t.column :next_at, instant
      t.check_constraint "operation in ('create', 'update', 'delete', 'fan_out')", name: "replicates_to_outbox_operation"
    end
  end

  def create_runs
    create_table :replicates_to_runs do |t|
      t.text :source, null: false
      t.text :model, null: false
      t.text :destinations, null: false
      t.text :scope, null: false
      t.text :fingerprints, null: false
      t.text :state, null: false
      t.bigint :fence
      t.bigint :total
      t.column :started_at, instant, null: false
      t.column :finished_at, instant
      t.check_constraint "state in ('running', 'paused', 'succeeded', 'failed', 'cancelled')", name: "replicates_to_runs_state"
    end
  end

  # The part of a run that one process works on at a time: where it is, and until when nobody else may take it.
  def create_run_ranges
    create_table :replicates_to_run_ranges do |t|
      t.references :run, null: false, foreign_key: {to_table: :replicates_to_runs, on_delete: :cascade}
      t.text :cursor
      t.bigint :done, null: false, default: 0
      t.bigint :failed, null: false, default: 0
      t.text :lease_owner
      t.column :lease_until, instant
    end
  end

  # One row: which database drew the versions so far, and how far it was. After a failover, an upgrade or a restore another
  # one answers, whose sequence may hand out the same ids again.
  def create_identity
    create_table :replicates_to_identity do |t|
      t.text :system_identifier
      t.bigint :timeline
      t.text :sequence
      t.bigint :highest_id, null: false, default: 0
      t.column :highest_id_at, instant
      t.integer :generation, null: false, default: 0
      t.check_constraint "id = 1", name: "replicates_to_identity_one_row"
      t.check_constraint "generation between 0 and 31", name: "replicates_to_identity_generation"
    end
    reversible { |direction| direction.up { execute "insert into replicates_to_identity (id) values (1)" } }
  end

  def instant
    sqlite? ? :text : :timestamptz
  end

  def sqlite?
    connection.adapter_name == "SQLite"
  end
end
