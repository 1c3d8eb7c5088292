# frozen_string_literal: true

require_relative "spec_helper"

class Garage < ActiveRecord::Base
  self.table_name = "owners"
  has_many :vehicles, foreign_key: :owner_id, dependent: :delete_all
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

ADAPTERS.each do |adapter|
  RSpec.describe "bulk writes on a replicated model (#{adapter})" do
    include_context "with a database on", adapter
    include_context "without a publisher"

    let!(:vehicle) { ReplicatesTo.disabled { Vehicle.create!(plate: "KA-1") } }

    {
      "update_all" => ->(_) { Vehicle.update_all(plate: "x") },
      "update_all of a scope" => ->(_) { Vehicle.where(plate: "KA-1").update_all("counter = 1") },
      "delete_all" => ->(_) { Vehicle.where(plate: "KA-1").delete_all },
      "delete_by" => ->(_) { Vehicle.delete_by(plate: "KA-1") },
      "delete by id" => ->(row) { Vehicle.delete(row.id) },
      "touch_all" => ->(_) { Vehicle.touch_all },
      "update_counters" => ->(row) { Vehicle.update_counters(row.id, counter: 1) },
      "increment_counter" => ->(row) { Vehicle.increment_counter(:counter, row.id) },
      "increment!" => ->(row) { row.increment!(:counter) },
      "decrement!" => ->(row) { row.decrement!(:counter) },
      "update_columns" => ->(row) { row.update_columns(plate: "x") },
      "update_column" => ->(row) { row.update_column(:plate, "x") },
      "delete" => ->(row) { row.delete },
      "insert" => ->(_) { Vehicle.insert({plate: "x", created_at: Time.now, updated_at: Time.now}) },
      "insert_all" => ->(_) { Vehicle.insert_all([{plate: "x", created_at: Time.now, updated_at: Time.now}]) },
      "upsert_all" => ->(row) { Vehicle.upsert_all([{id: row.id, plate: "x", created_at: Time.now, updated_at: Time.now}]) },
      "a write through a subclass" => ->(_) { Truck.update_all(plate: "x") },
      "a write through another class of the table" => ->(_) { PlainVehicle.update_all(plate: "x") }
    }.each do |name, write|
      it "refuses #{name}, and changes nothing" do
        before = ActiveRecord::Base.connection.select_rows("select * from vehicles")
        way_out = /ReplicatesTo\.disabled \{ \} and publish with rake replicates_to:backfill\[Vehicle\]/
        expect { write.call(vehicle) }.to raise_error(ReplicatesTo::BulkWriteRefused, way_out)
        expect(ActiveRecord::Base.connection.select_rows("select * from vehicles")).to eq(before)
      end
    end

    it "refuses dependent: :delete_all" do
      garage = Garage.create!(name: "G")
      ReplicatesTo.disabled { vehicle.update!(owner_id: garage.id) }
      expect { garage.destroy }.to raise_error(ReplicatesTo::BulkWriteRefused)
    end

    it "refuses a counter cache on a replicated parent" do
      owner = ReplicatesTo.disabled { Owner.create!(name: "Ann") }
      expect { CountedVehicle.create!(plate: "x", owner: owner) }.to raise_error(ReplicatesTo::BulkWriteRefused, /Owner: update_counters/)
    end

    it "refuses a statement of one row outside any transaction" do
      expect { Vehicle._update_record({"plate" => "x"}, {"id" => vehicle.id}) }.to raise_error(ReplicatesTo::BulkWriteRefused)
    end

    it "lets them through inside ReplicatesTo.disabled, unnoted" do
      ReplicatesTo.disabled do
        Vehicle.update_all(plate: "x")
        vehicle.increment!(:counter)
        vehicle.update_columns(vin: "7")
        Vehicle.delete_all
      end
      expect(Vehicle.count).to eq(0)
      expect(noted).to eq([])
    end

    it "lets them through on a model that is not replicated" do
      ActiveRecord::Base.connection.create_table(:notes, force: true) { |t| t.string :text }
      note = Class.new(ActiveRecord::Base) { self.table_name = "notes" }
      note.insert_all([{text: "a"}])
      expect(note.update_all(text: "b")).to eq(1)
      expect(note.delete_all).to eq(1)
    ensure
      ActiveRecord::Base.connection.drop_table(:notes)
    end

    it "leaves save, destroy, touch, toggle! and update_attribute alone" do
      vehicle.update_attribute(:plate, "x")
      vehicle.touch
      vehicle.destroy
      expect(noted.map(&:last)).to eq(%w[update update delete])
    end
  end
end
