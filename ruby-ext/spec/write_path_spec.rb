# frozen_string_literal: true

require_relative "spec_helper"

COVERAGES.each do |adapter, coverage|
  RSpec.describe "what a transaction notes (#{adapter}, #{coverage})" do
    include_context "with a database on", adapter
    include_context "covered by", coverage
    include_context "without a publisher"

    after { Vehicle.after_write = Vehicle.before_the_commit = Vehicle.after_the_commit = nil }

    # A row that was there before the example began.
    let!(:vehicle) { ReplicatesTo.disabled { Vehicle.create!(plate: "KA-1") } }

    def delete_behind_rails(record)
      # Triggers would notice.
      ReplicatesTo.disabled { ActiveRecord::Base.connection.execute("delete from vehicles where id = #{record.id}") }
    end

    it "notes a create, an update and a delete with their primary keys" do
      created = Vehicle.create!(plate: "KA-2")
      vehicle.update!(plate: "KA-3")
      created.destroy!
      expect(noted).to eq([["Vehicle", created.id, "create"], ["Vehicle", vehicle.id, "update"], ["Vehicle", created.id, "delete"]])
    end

    it "notes two saves of a row in one transaction once" do
      Vehicle.transaction { 2.times { |n| vehicle.update!(plate: "KA-#{n}") } }
      expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
    end

    it "notes two instances of one row once" do
      Vehicle.transaction do
        Vehicle.find(vehicle.id).update!(plate: "KA-8")
        Vehicle.find(vehicle.id).update!(vin: "8")
      end
      expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
    end

    it "notes a row created and updated in one transaction as created" do
      created = Vehicle.transaction { Vehicle.create!(plate: "KA-2").tap { |row| row.update!(plate: "KA-3") } }
      expect(noted).to eq([["Vehicle", created.id, "create"]])
    end

    it "notes a row created and destroyed in one transaction as one delete" do
      created = Vehicle.transaction { Vehicle.create!(plate: "KA-2").tap(&:destroy!) }
      expect(noted).to eq([["Vehicle", created.id, "delete"]])
    end

    it "notes nothing for a save that changes nothing" do
      vehicle.save!
      expect(noted).to eq([])
    end

    it "notes nothing for an update that finds no row" do
      delete_behind_rails(vehicle)
      vehicle.update!(plate: "KA-2")
      expect(noted).to eq([])
    end

    it "notes nothing for a delete that finds no row" do
      delete_behind_rails(vehicle)
      vehicle.destroy!
      expect(noted).to eq([])
    end

    it "notes nothing of a transaction that is rolled back" do
      Vehicle.transaction do
        vehicle.update!(plate: "KA-2")
        raise ActiveRecord::Rollback
      end
      expect(noted).to eq([])
      expect(woken).to eq([])
    end

    it "notes nothing of a savepoint that is rolled back, and the rest of its transaction" do
      Vehicle.transaction do
        other = Vehicle.create!(plate: "KA-4")
        Vehicle.transaction(requires_new: true) do
          vehicle.update!(plate: "KA-2")
          raise ActiveRecord::Rollback
        end
        other.update!(plate: "KA-5")
      end
      expect(noted.map(&:last)).to eq(["create"])
    end

    # Rails 7.1 makes no savepoint for the first of these: what is around it begins anew.
    it "notes nothing of a savepoint that is rolled back before anything else was written" do
      Vehicle.transaction do
        2.times do
          Vehicle.transaction(requires_new: true) do
            vehicle.update!(plate: "KA-2")
            raise ActiveRecord::Rollback
          end
        end
        Vehicle.create!(plate: "KA-4")
      end
      expect(noted).to eq([["Vehicle", Vehicle.last.id, "create"]])
      expect(vehicle.reload.plate).not_to eq("KA-2")
    end

    it "keeps the notes of a savepoint that was released before anything else was written" do
      Vehicle.transaction do
        Vehicle.transaction(requires_new: true) { vehicle.update!(plate: "KA-2") }
        Vehicle.transaction(requires_new: true) do
          Vehicle.create!(plate: "KA-4")
          raise ActiveRecord::Rollback
        end
      end
      expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
    end

    it "keeps the notes of savepoints that are released, through several levels" do
      Vehicle.transaction do
        Vehicle.transaction(requires_new: true) do
          Vehicle.transaction(requires_new: true) { vehicle.update!(plate: "KA-2") }
        end
      end
      expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
    end

    it "drops the notes of a released savepoint when what is around it is rolled back" do
      Vehicle.transaction do
        Vehicle.transaction(requires_new: true) { vehicle.update!(plate: "KA-2") }
        raise ActiveRecord::Rollback
      end
      expect(noted).to eq([])
    end

    it "writes one INSERT a transaction, whatever the number of rows", if: coverage == "callbacks" do
      inserts = []
      subscriber = ActiveSupport::Notifications.subscribe("sql.active_record") do |*, payload|
        inserts << payload[:sql] if payload[:sql].match?(/insert into replicates_to_outbox/i)
      end
      Vehicle.transaction { 30.times { |n| Vehicle.create!(plate: "KA-#{n}") } }
      expect(inserts.size).to eq(1)
      expect(noted.size).to eq(30)
    ensure
      ActiveSupport::Notifications.unsubscribe(subscriber)
    end

    [1, 10, 1_000].each do |rows|
      # What triggers cost is one when they are told to be quiet, and again afterwards.
      more, silent = coverage == "triggers" ? [0, 1] : [1, 0]

      it "pays #{more} statements more for #{rows} rows" do
        # The first look at an outbox asks whether its ids can be versions.
        vehicle.update!(plate: "B")
        now = Time.now
        ReplicatesTo.disabled { Vehicle.insert_all(Array.new(rows) { {plate: "B", created_at: now, updated_at: now} }) }
        with, without = %w[C D].map do |plate|
          cars = Vehicle.where.not(id: vehicle.id).to_a
          write = -> { Vehicle.transaction { cars.each { |car| car.update!(plate: plate) } } }
          statements { plate == "C" ? write.call : ReplicatesTo.disabled(&write) }
        end
        expect([with, without]).to eq([rows + more, rows + silent])
      end
    end

    def statements(&block)
      count = 0
      counter = ->(*, payload) { count += 1 unless %w[SCHEMA TRANSACTION].include?(payload[:name]) }
      ActiveSupport::Notifications.subscribed(counter, "sql.active_record", &block)
      count
    end

    it "slices very many rows" do
      notes = ReplicatesTo::Notes.new
      12_000.times { |n| notes.add(Vehicle, note("Vehicle", "[#{n}]", "update")) }
      ids = ActiveRecord::Base.transaction { notes.flush(ActiveRecord::Base.connection) }
      expect(ids.uniq.size).to eq(12_000)
      expect(noted.map { |_, primary_key, _| primary_key }).to eq((0...12_000).to_a)
    end

    it "wakes the publisher with the ids of the rows it wrote, after the commit" do
      vehicle.update!(plate: "KA-2")
      ids = ActiveRecord::Base.connection.select_values("select id from replicates_to_outbox")
      expect(woken).to eq([["ActiveRecord::Base", ids]])
    end

    context "with callbacks that interfere" do
      it "notes a row whose own callback raises, when the transaction commits all the same" do
        Vehicle.after_write = ->(_) { raise "no" }
        Vehicle.transaction do
          vehicle.update(plate: "KA-2")
        rescue RuntimeError
          nil
        end
        expect(vehicle.reload.plate).to eq("KA-2")
        expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
      end

      it "notes a created row whose callback raises" do
        Vehicle.after_write = ->(_) { raise "no" }
        Vehicle.transaction do
          Vehicle.create!(plate: "KA-2")
        rescue RuntimeError
          nil
        end
        expect(noted.map(&:last)).to eq(["create"])
      end

      it "notes a destroyed row whose callback raises" do
        Vehicle.after_write = ->(_) { raise "no" }
        Vehicle.transaction do
          vehicle.destroy!
        rescue RuntimeError
          nil
        end
        expect(noted).to eq([["Vehicle", vehicle.id, "delete"]])
      end

      it "loses nothing when an after_commit callback of another record raises" do
        other = ReplicatesTo.disabled { Vehicle.create!(plate: "KA-3") }
        Vehicle.after_the_commit = ->(_) { raise "no" }
        expect { Vehicle.transaction { [vehicle, other].each { |row| row.update!(vin: "1") } } }.to raise_error("no")
        expect(noted.map { |_, primary_key, _| primary_key }).to contain_exactly(vehicle.id, other.id)
        expect(woken.sum { |_, ids| ids.size }).to eq(2)
      end

      it "notes a row that another record's before_commit callback writes" do
        owner = ReplicatesTo.disabled { Owner.create!(name: "Ann") }
        Vehicle.before_the_commit = ->(_) { owner.update!(name: "Bea") }
        vehicle.update!(plate: "KA-2")
        expect(noted).to contain_exactly(["Vehicle", vehicle.id, "update"], ["Owner", owner.id, "update"])
      end

      it "notes a parent whose touch Rails defers to the commit" do
        owner = ReplicatesTo.disabled { Owner.create!(name: "Ann", vehicles: [vehicle]) }
        vehicle.reload.update!(plate: "KA-2")
        expect(noted).to contain_exactly(["Vehicle", vehicle.id, "update"], ["Owner", owner.id, "update"])
      end
    end

    it "notes a touched row" do
      vehicle.touch
      expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
    end

    it "notes the old and the new key of a row whose primary key changes" do
      part = ReplicatesTo.disabled { Part.create!(code: "a", name: "Axle") }
      part.update!(code: "b")
      expect(noted).to contain_exactly(["Part", "a", "update"], %w[Part b create])
    end

    it "notes the delete of a row under the class that it has, not the one it was loaded as" do
      stale = Vehicle.find(vehicle.id)
      ReplicatesTo.disabled { vehicle.becomes!(Truck).save! }
      stale.destroy!
      ReplicatesTo.disabled do
        Vehicle.connection.execute("insert into vehicles (id, created_at, updated_at) values (7, '2026-11-22', '2026-11-22')")
      end
      Vehicle.find(7).destroy!
      expect(noted).to eq([["Truck", vehicle.id, "delete"], ["Vehicle", 7, "delete"]])
    end

    it "notes a row whose class and primary key change for the destinations of both, under both" do
      truck = ReplicatesTo.disabled { Truck.create!(plate: "KA-2") }
      id = truck.id
      truck.becomes!(Vehicle).update!(id: id + 1_000)
      real = [["Truck", id, "update"], ["Vehicle", id + 1_000, "create"]]
      # Triggers know which class each of them was.
      possible = [["Vehicle", id, "update"], ["Truck", id + 1_000, "create"]]
      expect(noted).to match_array(coverage == "triggers" ? real : real + possible)
    end

    it "notes a row of a subclass under that class" do
      truck = Truck.create!(plate: "KA-2")
      expect(noted).to eq([["Truck", truck.id, "create"]])
    end

    it "notes a row that changes its class for the destinations of both" do
      truck = ReplicatesTo.disabled { Truck.create!(plate: "KA-2") }
      truck.becomes!(Vehicle).save!
      expect(noted).to contain_exactly(["Vehicle", truck.id, "update"], ["Truck", truck.id, "update"])
    end

    context "when a transaction around it is not joinable, as in fixtures and console --sandbox" do
      it "writes its rows inside, so that they vanish with it" do
        connection = ActiveRecord::Base.connection
        connection.begin_transaction(joinable: false)
        vehicle.update!(plate: "KA-2")
        inside = noted
        connection.rollback_transaction
        expect(inside).to eq([["Vehicle", vehicle.id, "update"]])
        expect(noted).to eq([])
      end
    end

    describe "ReplicatesTo.disabled" do
      it "notes nothing inside, wherever the write commits" do
        Vehicle.transaction do
          ReplicatesTo.disabled { vehicle.update!(plate: "KA-2") }
        end
        expect(noted).to eq([])
      end

      it "notes what is written outside, though it commits inside" do
        ReplicatesTo.disabled do
          Vehicle.transaction { Thread.new { Vehicle.create!(plate: "KA-9") }.join if adapter == :postgresql }
        end
        vehicle.update!(plate: "KA-2")
        expect(noted.map(&:last)).to eq(adapter == :postgresql ? %w[create update] : %w[update])
      end

      it "nests, survives exceptions, and returns the block's value" do
        value = ReplicatesTo.disabled do
          begin
            ReplicatesTo.disabled { raise "no" }
          rescue RuntimeError
            nil
          end
          [ReplicatesTo.enabled?, :value]
        end
        expect(value).to eq([false, :value])
        expect(ReplicatesTo.enabled?).to be(true)
      end
    end

    it "notes nothing when enabled is false" do
      Settings.apply(enabled: false)
      vehicle.update!(plate: "KA-2")
      Vehicle.update_all(plate: "KA-3")
      expect(noted).to eq([])
    end

    describe "an outbox that cannot give versions" do
      it "is named when the table is missing" do
        ActiveRecord::Base.connection.rename_table(:replicates_to_outbox, :elsewhere)
        ReplicatesTo::Outbox::Statements.verified.clear
        expect { vehicle.update!(plate: "KA-2") }
          .to raise_error(ReplicatesTo::ConfigurationError, /replicates_to_outbox is missing: run rails g replicates_to:install/)
      ensure
        ActiveRecord::Base.connection.rename_table(:elsewhere, :replicates_to_outbox)
      end

      it "is refused on a database that it does not work on, with the model that was written" do
        allow(ActiveRecord::Base.connection).to receive(:adapter_name).and_return("Mysql2")
        expect { vehicle.update!(plate: "KA-2") }
          .to raise_error(ReplicatesTo::MappingError, "Vehicle: replicates_to works on PostgreSQL and SQLite, not on Mysql2")
      end

      if adapter == :postgresql
        it "is refused when its sequence hands out ids in blocks" do
          ActiveRecord::Base.connection.execute("alter sequence replicates_to_outbox_id_seq cache 50")
          expect { vehicle.update!(plate: "KA-2") }.to raise_error(ReplicatesTo::ConfigurationError, /has CACHE 50/)
        ensure
          ActiveRecord::Base.connection.execute("alter sequence replicates_to_outbox_id_seq cache 1")
        end
      end
    end
  end
end
