# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe "replicate" do
  COVERAGES.each do |adapter, coverage|
    context "with #{adapter}, #{coverage}" do
      include_context "with a database on", adapter
      include_context "covered by", coverage
      include_context "without a publisher"

      let!(:vehicle) { ReplicatesTo.disabled { Vehicle.create!(plate: "KA-01") } }

      def wished
        outbox_rows.map(&:destinations)
      end

      it "notes a row that nobody changed" do
        expect(vehicle.replicate!).to be(true)
        expect(noted).to eq([["Vehicle", vehicle.id, "update"]])
        expect(wished).to eq([nil])
        expect(woken.flat_map(&:last).size).to eq(1)
      end

      it "notes it for the destinations that were asked for" do
        truck = ReplicatesTo.disabled { Truck.create!(plate: "T-1") }
        truck.replicate!(to: :freight)
        expect(wished).to eq([%w[freight]])
      end

      it "notes a row under its own class, whatever it was read as" do
        truck = ReplicatesTo.disabled { Truck.create!(plate: "T-1") }
        Vehicle.replicate
        expect(noted).to contain_exactly(["Vehicle", vehicle.id, "update"], ["Truck", truck.id, "update"])
      end

      it "is for every destination once something else of the transaction was" do
        Vehicle.transaction do
          vehicle.replicate!(to: :billing)
          vehicle.update!(plate: "KA-02")
        end
        expect(noted.size).to eq(1)
        expect(wished).to eq([nil])
      end

      it "refuses a record that has no row" do
        gone = ReplicatesTo.disabled { Vehicle.create! }
        ReplicatesTo.disabled { Vehicle.connection.execute("delete from vehicles where id = #{gone.id}") }
        [Vehicle.new, gone].each do |record|
          expect { record.replicate! }.to raise_error(ReplicatesTo::NotPersisted, /\AVehicle .*: there is no row to replicate\z/)
        end
        expect(noted).to eq([])
      end

      it "refuses a destination that the model does not have, and names the nearest" do
        expect { vehicle.replicate!(to: :biling) }
          .to raise_error(ReplicatesTo::DeclarationError, "Vehicle: does not replicate to biling (did you mean billing?)")
        expect { Vehicle.where(id: 1).replicate(to: :freight) }.to raise_error(ReplicatesTo::DeclarationError)
      end

      it "counts the rows of a relation, in transactions of a thousand" do
        ReplicatesTo.disabled { Vehicle.insert_all(Array.new(2_100) { |n| {plate: "B#{n}", created_at: Time.now, updated_at: Time.now} }) }
        expect(Vehicle.where("plate like 'B%'").replicate).to eq(2_100)
        expect(woken.map { |_, ids| ids.size }).to eq([1_000, 1_000, 100])
        expect(noted.size).to eq(2_100)
      end

      it "takes a relation with joins, an order and a limit" do
        owner = ReplicatesTo.disabled { Owner.create!(name: "A") }
        mine = ReplicatesTo.disabled { Array.new(3) { |n| Vehicle.create!(owner: owner, plate: "M#{n}") } }
        expect(Vehicle.joins(:owner).where(owners: {name: "A"}).replicate).to eq(3)
        expect(noted.map { |_, key, _| key }).to match_array(mine.map(&:id))
        expect(Vehicle.limit(2).replicate).to eq(2)
        expect(Vehicle.none.replicate).to eq(0)
      end

      it "says so where nothing is noted" do
        Settings.apply(enabled: false)
        expect { vehicle.replicate! }.to raise_error(ReplicatesTo::ConfigurationError, /enabled is false/)
      end

      it "rolls back with its transaction" do
        Vehicle.transaction do
          vehicle.replicate!
          raise ActiveRecord::Rollback
        end
        expect(noted).to eq([])
      end
    end
  end

  context "while another transaction is about to commit a change" do
    include_context "with a database on", :postgresql
    include_context "without a publisher"

    let!(:vehicle) { ReplicatesTo.disabled { Vehicle.create!(plate: "old") } }

    # Without the row's lock its version would be above the change's, and label the state from before it.
    it "draws its version after it" do
      replicating = nil
      Vehicle.transaction do
        Vehicle.find(vehicle.id).update!(plate: "new")
        replicating = Thread.new { ActiveRecord::Base.connection_pool.with_connection { Vehicle.find(vehicle.id).replicate! } }
        Waiting.until_true { waiting_for_a_row? || !replicating.alive? }
      end
      replicating.value
      versions = Vehicle.connection.select_rows("select id, xmin::text::bigint from replicates_to_outbox order by id")
      expect(versions.size).to eq(2)
      expect(versions.first.last).to eq(writer_of(vehicle))
    end

    def waiting_for_a_row?
      Vehicle.connection.select_value(Locks.awaited("transactionid", "tuple"))
    end

    def writer_of(row)
      Vehicle.connection.select_value("select xmin::text::bigint from vehicles where id = #{row.id}")
    end
  end
end
