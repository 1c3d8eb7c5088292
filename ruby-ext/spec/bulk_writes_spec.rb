# frozen_string_literal: true

require_relative "spec_helper"

class Garage < ActiveRecord::Base
  self.table_name = "owners"
  has_many :vehicles, foreign_key: :owner_id, dependent: :delete_all
end

class OpenGarage < ActiveRecord::Base
  self.table_name = "owners"
  has_many :vehicles, foreign_key: :owner_id, dependent: :nullify
end

# Writes to the table of a replicated model without being one.
class PlainVehicle < ActiveRecord::Base
  self.table_name = "vehicles"
  self.inheritance_column = nil
end

class CountedVehicle < ActiveRecord::Base
  self.table_name = "vehicles"
  self.inheritance_column = nil
  belongs_to :owner, counter_cache: :vehicles_count
end

COVERAGES.each do |adapter, coverage|
  RSpec.describe "bulk writes on a replicated model (#{adapter}, #{coverage})" do
    include_context "with a database on", adapter
    include_context "covered by", coverage
    include_context "without a publisher"

    let!(:vehicle) { ReplicatesTo.disabled { Vehicle.create!(plate: "KA-1") } }
    let!(:other) { ReplicatesTo.disabled { Vehicle.create!(plate: "KA-2") } }
    let(:now) { Time.now }
    # That no row of an earlier example had, either: SQLite goes on above it.
    let(:free_id) { other.id + 1_000 }
    let(:new_row) { {plate: "KA-3", created_at: now, updated_at: now} }

    def all_noted(operation)
      [["Vehicle", vehicle.id, operation], ["Vehicle", other.id, operation]]
    end

    # SQL of the writes inside the block, with what Rails and this gem put around them.
    def statements(&block)
      heard = []
      subscriber = ->(*, payload) { heard << payload[:sql] unless %w[SCHEMA TRANSACTION].include?(payload[:name]) }
      ActiveSupport::Notifications.subscribed(subscriber, "sql.active_record", &block)
      heard
    end

    describe "notes the rows of" do
      {
        "update_all" => -> { Vehicle.update_all(plate: "x") },
        "update_all of SQL" => -> { Vehicle.update_all("counter = counter + 1") },
        "update_all of SQL with values" => -> { Vehicle.update_all(["plate = ?", "100 % \"sure\" %<id>s"]) },
        "update_all in an order" => -> { Vehicle.order(:plate).limit(2).update_all(plate: "x") },
        "update_all with a join" => -> { Vehicle.left_joins(:owner).where(owners: {id: nil}).update_all(plate: "x") },
        "in_batches.update_all" => -> { Vehicle.in_batches(of: 1).update_all(plate: "x") },
        "touch_all" => -> { Vehicle.touch_all },
        "update_counters" => -> { Vehicle.update_counters(Vehicle.ids, counter: 1) },
        "increment_counter" => -> { Vehicle.increment_counter(:counter, Vehicle.ids) },
        "a write through another class of the table" => -> { PlainVehicle.update_all(plate: "x") }
      }.each do |name, write|
        it "#{name}, and returns how many there were" do
          expect(instance_exec(&write)).to eq(2)
          expect(noted).to match_array(all_noted("update"))
          expect(woken.flat_map(&:last).size).to eq(2)
        end
      end

      {
        "delete_all" => -> { Vehicle.delete_all },
        "delete_by" => -> { Vehicle.delete_by(plate: %w[KA-1 KA-2]) },
        "delete by ids" => -> { Vehicle.delete(Vehicle.ids) },
        "delete_all in an order" => -> { Vehicle.order(:plate).limit(5).delete_all }
      }.each do |name, write|
        it "#{name}, and returns how many there were" do
          expect(instance_exec(&write)).to eq(2)
          expect(noted).to match_array(all_noted("delete"))
          expect(Vehicle.count).to eq(0)
        end
      end

      {
        "update_columns" => ->(row) { row.update_columns(plate: "x") },
        "update_column" => ->(row) { row.update_column(:plate, "x") },
        "increment!" => ->(row) { row.increment!(:counter) },
        "decrement!" => ->(row) { row.decrement!(:counter) },
        "update_attribute" => ->(row) { row.update_attribute(:plate, "x") },
        "touch" => ->(row) { row.touch }
      }.each do |name, write|
        it "#{name}, of one row" do
          write.call(vehicle)
          expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
          expect(woken.size).to eq(1)
        end
      end

      it "delete, of one row" do
        expect(vehicle.delete).to be_frozen
        expect(noted).to eq([["Vehicle", vehicle.id, "delete"]])
      end

      it "update_columns that change the primary key: both rows" do
        id = vehicle.id
        vehicle.update_columns(id: id + 1_000)
        expect(noted).to eq([["Vehicle", id, "update"], ["Vehicle", id + 1_000, "create"]])
      end

      it "insert_all, and returns what Rails returns" do
        result = Vehicle.insert_all([new_row, new_row.merge(plate: "KA-4")])
        ids = Vehicle.order(:id).last(2).map(&:id)
        expect(noted).to eq(ids.map { |id| ["Vehicle", id, "create"] })
        expect(result.to_a).to eq(Vehicle.connection.supports_insert_returning? ? ids.map { |id| {"id" => id} } : [])
      end

      it "insert_all, leaving out rows that were there" do
        Vehicle.insert_all([new_row.merge(id: vehicle.id), new_row.merge(id: free_id)])
        expect(noted).to eq([["Vehicle", free_id, "create"]])
      end

      # Triggers tell a row that was inserted from one that was updated.
      upserted = coverage == "triggers" ? "create" : "update"

      it "upsert_all, as updates" do
        Vehicle.upsert_all([new_row.merge(id: vehicle.id), new_row.merge(id: free_id)])
        expect(noted).to eq([["Vehicle", vehicle.id, "update"], ["Vehicle", free_id, upserted]])
        expect(vehicle.reload.plate).to eq("KA-3")
      end

      it "insert, upsert and insert_all!" do
        Vehicle.insert(new_row.merge(id: free_id))
        Vehicle.upsert(new_row.merge(id: free_id + 1))
        Vehicle.insert_all!([new_row.merge(id: free_id + 2)])
        expect(noted.map { |_, id, _| id }).to eq([free_id, free_id + 1, free_id + 2])
        expect { Vehicle.insert!(new_row.merge(id: free_id)) }.to raise_error(ActiveRecord::RecordNotUnique)
      end

      it "rows whose primary key is text" do
        ReplicatesTo.disabled { Part.create!(code: "ü \"quoted\" \\ 'é'", name: "a") }
        Part.update_all(name: "b")
        Part.upsert_all([{code: "p/2", name: "c"}])
        expect(noted).to eq([["Part", "ü \"quoted\" \\ 'é'", "update"], ["Part", "p/2", upserted]])
      end

      it "a counter cache" do
        owner = ReplicatesTo.disabled { Owner.create!(name: "Ann") }
        CountedVehicle.create!(plate: "x", owner: owner)
        expect(noted).to include(["Owner", owner.id, "update"])
        expect(owner.reload.vehicles_count).to eq(1)
      end

      it "dependent: :delete_all and :nullify" do
        garage, open_garage = [Garage, OpenGarage].map { |model| model.create!(name: "G") }
        ReplicatesTo.disabled do
          vehicle.update!(owner_id: garage.id)
          other.update!(owner_id: open_garage.id)
        end
        ActiveRecord::Base.connection.execute("delete from replicates_to_outbox")
        garage.destroy
        open_garage.destroy
        expect(noted).to include(["Vehicle", vehicle.id, "delete"], ["Vehicle", other.id, "update"])
      end

      it "an association that is cleared" do
        owner = ReplicatesTo.disabled { Owner.create!(name: "Ann").tap { |one| one.vehicles << vehicle } }
        owner.vehicles.delete_all
        expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
      end
    end

    describe "of a class hierarchy" do
      let!(:truck) { ReplicatesTo.disabled { Truck.create!(plate: "T-1") } }

      it "names each row's own class, which may have destinations of its own" do
        Vehicle.delete_all
        expect(noted).to contain_exactly(*all_noted("delete"), ["Truck", truck.id, "delete"])
      end

      it "writes through a subclass touch its rows alone" do
        expect(Truck.update_all(plate: "x")).to eq(1)
        expect(noted).to eq([["Truck", truck.id, "update"]])
      end

      it "notes rows that change their class for every class" do
        Vehicle.where(id: vehicle.id).update_all(type: "Truck")
        expect(noted).to contain_exactly(["Vehicle", vehicle.id, "update"], ["Truck", vehicle.id, "update"])
      end

      it "inserts rows of a subclass" do
        Vehicle.insert_all([new_row.merge(id: free_id, type: "Truck")])
        expect(noted).to eq([["Truck", free_id, "create"]])
      end
    end

    it "belong to their transaction" do
      Vehicle.transaction do
        Vehicle.where(id: vehicle.id).update_all(plate: "x")
        Vehicle.transaction(requires_new: true) do
          Vehicle.where(id: other.id).delete_all
          raise ActiveRecord::Rollback
        end
        Vehicle.transaction(requires_new: true) { other.update_columns(plate: "y") }
        expect(woken).to eq([])
      end
      expect(noted).to eq([["Vehicle", vehicle.id, "update"], ["Vehicle", other.id, "update"]])
      expect(woken.map { |_, ids| ids.size }).to eq([2])
    end

    it "that are rolled back leave nothing" do
      Vehicle.transaction do
        Vehicle.update_all(plate: "x")
        raise ActiveRecord::Rollback
      end
      expect(noted).to eq([])
      expect(woken).to eq([])
    end

    it "that change no row leave nothing" do
      expect(Vehicle.where(plate: "nobody").update_all(plate: "x")).to eq(0)
      expect(Vehicle.none.delete_all).to eq(0)
      expect(noted).to eq([])
      # Under triggers nobody knows before somebody has looked.
      expect(woken.flat_map(&:last)).to eq([])
    end

    it "that fail leave the next statement alone" do
      expect { Vehicle.update_all("nothing = 1") }.to raise_error(ActiveRecord::StatementInvalid)
      vehicle.update!(plate: "x")
      expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
      expect(Vehicle.connection.update("update vehicles set plate = 'y'")).to eq(2)
      expect(noted.size).to eq(coverage == "triggers" ? 3 : 1)
    end

    it "clear the query cache" do
      # What Rails 6.1 sets in every application.
      handlers = {writing: ActiveRecord::Base.default_connection_handler}
      ActiveRecord::Base.connection_handlers = handlers if ActiveRecord.version < Gem::Version.new("7")
      Vehicle.cache do
        Vehicle.pluck(:plate)
        Vehicle.update_all(plate: "x")
        expect(Vehicle.pluck(:plate)).to eq(%w[x x])
      end
    end

    # SQLite needs a second one.
    it "are one statement still", if: adapter == :postgresql do
      Vehicle.update_all(plate: "w")
      Vehicle.transaction do
        Vehicle.count
        expect(statements { Vehicle.update_all(plate: "x") }.size).to eq(1)
        expect(statements { Vehicle.delete_all }.size).to eq(1)
      end
    end

    it "of more rows than a publisher takes on are the sweep's" do
      ReplicatesTo.disabled { Vehicle.insert_all(Array.new(1_200) { new_row }) }
      expect(Vehicle.update_all(plate: "x")).to eq(1_202)
      expect(noted.size).to eq(1_202)
      expect(woken.flat_map(&:last).size).to be > 1_000
    end

    # Triggers see what a row was called before.
    describe "are refused, and change nothing,", if: coverage == "callbacks" do
      {
        "update_all of the primary key" => -> { Vehicle.update_all(id: 7) },
        "update_all of the primary key in SQL" => -> { Vehicle.update_all("plate = 'x', id = id + 100") },
        "update_all of the primary key among others in SQL" => -> { Vehicle.update_all(%[("id", plate) = (7, 'x')]) }
      }.each do |name, write|
        it name do
          before = ActiveRecord::Base.connection.select_rows("select * from vehicles order by id")
          way_out = /\AVehicle: update_all of id .*ReplicatesTo\.disabled \{ \} and publish with rake replicates_to:backfill\[Vehicle\]/
          expect { instance_exec(&write) }.to raise_error(ReplicatesTo::BulkWriteRefused, way_out)
          expect(ActiveRecord::Base.connection.select_rows("select * from vehicles order by id")).to eq(before)
        end
      end
    end

    it "inside ReplicatesTo.disabled are Rails' own, and unnoted" do
      ReplicatesTo.disabled do
        Vehicle.update_all(id: Arel.sql("id + 100"))
        Vehicle.last.increment!(:counter)
        Vehicle.last.update_columns(vin: "7")
        Vehicle.delete_all
      end
      expect(Vehicle.count).to eq(0)
      expect(noted).to eq([])
    end

    it "on a model that is not replicated are Rails' own" do
      ActiveRecord::Base.connection.create_table(:notes, force: true) { |t| t.string :text }
      note = Class.new(ActiveRecord::Base) { self.table_name = "notes" }
      note.insert_all([{text: "a"}])
      expect(statements { expect(note.update_all(text: "b")).to eq(1) }.join).not_to include("outbox")
      expect(note.delete_all).to eq(1)
    ensure
      ActiveRecord::Base.connection.drop_table(:notes)
    end
  end
end
