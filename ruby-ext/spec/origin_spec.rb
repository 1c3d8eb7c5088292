# frozen_string_literal: true

require_relative "spec_helper"
require "replicates_to/receiver"

RSpec.describe "origin" do
  COVERAGES.each do |adapter, coverage|
    context "with #{adapter}, #{coverage}" do
      include_context "with a database on", adapter
      include_context "covered by", coverage

      def origins
        outbox_rows.map(&:origin)
      end

      # Destinations of the records that the noted rows become.
      def destinations
        ids = ActiveRecord::Base.connection.select_values("select id from replicates_to_outbox order by id")
        ReplicatesTo::Publisher::Batch.new(outbox, ids).read.map { |change| change.publications.map { |one| one.mapping.destination } }
      end

      describe "of a write" do
        include_context "without a publisher"

        it "is the application that a block names, whatever the kind of write" do
          vehicle = ReplicatesTo.with_origin("freight") { Vehicle.create!(plate: "a") }
          ReplicatesTo.with_origin("freight") do
            vehicle.update!(plate: "b")
            Vehicle.update_all(plate: "c")
            vehicle.destroy!
          end
          expect(origins).to eq(%w[freight] * 4)
        end

        it "nests, ends with the block, and returns its value" do
          value = ReplicatesTo.with_origin("a-b") do
            ReplicatesTo.with_origin(:crm) { Owner.create! }
            Owner.create!
            7
          end
          expect { ReplicatesTo.with_origin("crm") { raise "x" } }.to raise_error("x")
          Owner.create!
          expect([value, origins]).to eq([7, ["crm", "a-b", nil]])
        end

        it "is nobody's once the transaction also changed the row by itself" do
          Vehicle.transaction do
            vehicle = ReplicatesTo.with_origin("freight") { Vehicle.create! }
            vehicle.update!(plate: "x")
          end
          expect(origins).to eq([nil])
        end

        it "must be a name that an application can have" do
          expect { ReplicatesTo.with_origin("Billing!") { nil } }.to raise_error(ArgumentError, /origin "Billing!" must match/)
        end
      end

      describe "and the destinations of a change" do
        include_context "without a publisher"

        it "leave out the one it came from" do
          ReplicatesTo.with_origin("freight") { Truck.create!(plate: "T") }
          ReplicatesTo.with_origin("elsewhere") { Truck.create!(plate: "T") }
          expect(destinations).to eq([%i[billing], %i[billing freight]])
        end

        it "read a dash as an underscore" do
          row = ReplicatesTo::Outbox::Row.new(origin: "back-office")
          expect([row.for?(:back_office), row.for?(:billing)]).to eq([false, true])
        end
      end

      describe "in a record" do
        include_context "with Kafka"
        before { Topic.new(ReplicatesTo.mapping(Truck, :billing).topic).create }

        it "names where the change came from" do
          ReplicatesTo.with_origin("crm") { Vehicle.create!(plate: "a") }
          Vehicle.create!(plate: "b")
          expect(published.sort_by(&:version).map(&:origin)).to eq(["crm", ""])
          expect(noted).to eq([])
        end
      end

      describe "of what the receiver applies" do
        include_context "without a publisher"

        before do
          ActiveRecord::Base.connection.create_table(:replicates_to_versions, primary_key: %i[source model key]) do |t|
            t.text :source, null: false
            t.text :model, null: false
            t.text :key, null: false
            t.bigint :version, null: false
            t.boolean :deleted, null: false
            t.datetime :applied_at, null: false
          end
        end

        after { ActiveRecord::Base.connection.drop_table(:replicates_to_versions) }

        let(:receiver) do
          configuration = ReplicatesTo::Receiver::Configuration.new
          configuration.on("Car") do |record|
            owner = Owner.find_or_create_by!(name: "o")
            Vehicle.create!(plate: record.attributes.fetch("plate"), owner: owner)
          end
          ReplicatesTo::Receiver::Applier.new(configuration)
        end

        def record(source, key: "1")
          ReplicatesTo::Receiver::Record.new(
            "id" => "dlv_1", "source" => source, "model" => "Car", "key" => key, "operation" => "update", "version" => 7,
            "committed_at" => "2026-11-22T06:46:00Z", "attributes" => {"plate" => "KA-01"}
          )
        end

        # The owner is touched by the vehicle, just before the commit.
        it "is the record's source, for all that its transaction writes: A -> B -> A ends, A -> B -> C goes through" do
          receiver.apply(record("billing"))
          expect(noted.map(&:first)).to contain_exactly("Owner", "Vehicle")
          expect(origins).to eq(%w[billing billing])
          expect(destinations.flatten).to eq([])
          receiver.apply(record("warehouse", key: "2"))
          expect(destinations.flatten).to eq(%i[billing billing])
        end
      end
    end
  end
end
