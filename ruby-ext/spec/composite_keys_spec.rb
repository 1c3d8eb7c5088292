# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/memory"

# Rails 7.1 and later read a primary key of several columns as an array.
ADAPTERS.each do |adapter|
  RSpec.describe "primary keys of several columns (#{adapter})", if: ActiveRecord.version >= Gem::Version.new("7.1") do
    include_context "with a database on", adapter

    before(:all) do
      ActiveRecord::Schema.define do
        suppress_messages do
          create_table(:seats, primary_key: %i[flight row]) do |t|
            t.string :flight, null: false
            t.integer :row, null: false
            t.string :type
            t.string :passenger
          end
          create_table(:logs, primary_key: %i[id day]) do |t|
            t.bigserial :id if adapter == :postgresql
            t.integer :id, null: false unless adapter == :postgresql
            t.datetime :day, null: false
            t.string :text
          end
        end
      end
    end

    before do
      stub_const("Seat", seats = Class.new(ActiveRecord::Base))
      seats.class_eval do
        include ReplicatesTo
        replicates_to :billing, only: %i[flight row passenger]
        replicates_to :crew, only: %i[passenger], key: %i[row flight]
      end
      connection.execute("delete from seats")
    end

    def connection
      ActiveRecord::Base.connection
    end

    def seat(row, flight: "LH,1", **values)
      ReplicatesTo.disabled { Seat.create!(flight: flight, row: row, **values) }
    end

    describe "in the outbox" do
      include_context "without a publisher"

      # [[primary key, operation, key of the crew], …]
      def noted
        rows = connection.select_rows("select primary_key, operation, keys from replicates_to_outbox order by id")
        rows.map { |primary_key, operation, keys| [JSON.parse(primary_key), operation, keys && JSON.parse(keys)["crew"]] }
      end

      {
        "create" => [-> { Seat.create!(flight: "LH,1", row: 2) }, [[["LH,1", 2], "create", nil]]],
        "save" => [-> { Seat.first.update!(passenger: "Ann") }, [[["LH,1", 1], "update", nil]]],
        "a save that changes a part of it" =>
          [-> { Seat.first.update!(row: 9) }, [[["LH,1", 1], "update", "1,LH%2C1"], [["LH,1", 9], "create", nil]]],
        "destroy" => [-> { Seat.first.destroy! }, [[["LH,1", 1], "delete", "1,LH%2C1"]]],
        "delete" => [-> { Seat.first.delete }, [[["LH,1", 1], "delete", "1,LH%2C1"]]],
        "update_columns" => [-> { Seat.first.update_columns(passenger: "Ann") }, [[["LH,1", 1], "update", nil]]],
        "update_all" => [-> { Seat.update_all(passenger: "Ann") }, [[["LH,1", 1], "update", nil]]],
        "update_all in an order" => [-> { Seat.order(:row).limit(1).update_all(passenger: "Ann") }, [[["LH,1", 1], "update", nil]]],
        "delete_all" => [-> { Seat.delete_all }, [[["LH,1", 1], "delete", "1,LH%2C1"]]],
        "delete by id" => [-> { Seat.delete([["LH,1", 1]]) }, [[["LH,1", 1], "delete", "1,LH%2C1"]]],
        "insert_all" => [-> { Seat.insert_all([{flight: "LH,1", row: 2}]) }, [[["LH,1", 2], "create", nil]]],
        "upsert_all" => [-> { Seat.upsert_all([{flight: "LH,1", row: 1, passenger: "Ann"}]) }, [[["LH,1", 1], "update", nil]]],
        "replicate!" => [-> { Seat.first.replicate! }, [[["LH,1", 1], "update", nil]]],
        "replicate" => [-> { Seat.where(passenger: nil).replicate }, [[["LH,1", 1], "update", nil]]]
      }.each do |name, (write, expected)|
        it "name the row of #{name}" do
          seat(1)
          instance_exec(&write)
          expect(noted).to eq(expected)
        end
      end

      it "are not assigned by a bulk write" do
        seat(1)
        expect { Seat.update_all("\"row\" = 7") }.to raise_error(ReplicatesTo::BulkWriteRefused, /update_all of row/)
        expect { Seat.update_all(flight: "X") }.to raise_error(ReplicatesTo::BulkWriteRefused, /update_all of flight/)
      end

      it "may hold what the database makes, and an instant" do
        stub_const("Log", Class.new(ActiveRecord::Base)).class_eval do
          include ReplicatesTo
          replicates_to :billing
        end
        day = Time.utc(2026, 11, 22, 6, 46, Rational(345_678_901, 10_000_000))
        log = Log.create!(day: day, **(adapter == :postgresql ? {} : {id: [5, day]}))
        log.update!(text: "x")
        id = connection.select_value("select id from logs")
        expect(id).to be_positive
        expect(connection.select_rows("select primary_key, operation from replicates_to_outbox order by id"))
          .to eq([[%([#{id},"2026-11-22T06:46:34.567890Z"]), "create"], [%([#{id},"2026-11-22T06:46:34.567890Z"]), "update"]])
      end
    end

    describe "in records" do
      include_context "in memory"

      def sent(destination)
        published(to: destination).map { |record| [record.key, record.operation, record.attributes && record.attributes["passenger"]] }
      end

      it "are joined to the key" do
        seat(1)
        Seat.find(["LH,1", 1]).update!(passenger: "Ann")
        Seat.find(["LH,1", 1]).update!(row: 2)
        Seat.find(["LH,1", 2]).destroy!
        expect(sent(:billing)).to eq([["LH%2C1,1", "update", "Ann"], ["LH%2C1,1", "delete", nil], ["LH%2C1,2", "create", "Ann"],
                                      ["LH%2C1,2", "delete", nil]])
        expect(sent(:crew)).to eq([["1,LH%2C1", "update", "Ann"], ["1,LH%2C1", "delete", nil], ["2,LH%2C1", "create", "Ann"],
                                   ["2,LH%2C1", "delete", nil]])
      end

      it "are read together, however many rows a transaction changed" do
        Seat.transaction { 600.times { |row| Seat.create!(flight: "LH#{row % 7}", row: row) } }
        expect(published(to: :billing).map(&:key)).to match_array(Array.new(600) { |row| "LH#{row % 7},#{row}" })
      end

      it "are followed by a fan-out" do
        stub_const("Flight", Class.new(ActiveRecord::Base)).class_eval do
          self.table_name = "owners"
          include ReplicatesTo
          has_many :seats, foreign_key: :row, primary_key: :id
          republishes :seats
        end
        flight = ReplicatesTo.disabled { Flight.create!(name: "LH") }
        ReplicatesTo.disabled { Seat.insert_all(Array.new(1_100) { |n| {flight: "F#{n}", row: flight.id} }) }
        flight.update!(name: "LH 1")
        expect(published(to: :billing).map(&:key)).to match_array(Array.new(1_100) { |n| "F#{n},#{flight.id}" })
      end
    end

    it "are the order of a backfill" do
      expected = %w[a b].product([1, 2, 3]).map { |flight, row| seat(row, flight: flight) && "#{flight},#{row}" }
      mapping = Seat.replicates_to_mapping(:billing)
      options = instance_double(ReplicatesTo::Backfill::Options, model: Seat, batch: 2, scope: nil, where: nil, destinations: %i[billing])
      rows = ReplicatesTo::Backfill::Rows.new(options)
      read = []
      cursor = nil
      until (batch = rows.after(cursor)).empty?
        read << batch.map { |record| mapping.key_of(record) }
        cursor = rows.cursor(batch.last)
      end
      expect(read).to eq(expected.each_slice(2).to_a)
    end

    it "may be a part of the columns that find a row, and no less" do
      Seat.query_constraints :flight, :row, :passenger
      expect(Seat.replicates_to_mapping(:billing).key.names).to eq(%w[flight row])
      Seat.query_constraints :flight
      ReplicatesTo::Registry.changed
      Seat.instance_variable_set(:@replicates_to_fitting, nil)
      expect { Seat.replicates_to_mapping(:billing) }.to raise_error(
        ReplicatesTo::MappingError, "Seat: query_constraints leave out row, so a write would not say which row it wrote"
      )
    end
  end
end
