# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/memory"

# Whoever notes a change, its records are the same, byte for byte but for their version and time.
RSpec.describe "callbacks and triggers" do
  include_context "with a database on", :postgresql
  include_context "in memory", transactional: false

  after { TriggerSet.drop }
  after(:all) { Settings.coverage = nil }

  let(:connection) { ActiveRecord::Base.connection }

  # As they are in the database now.
  def owner = Owner.find(1)
  def vehicle = Vehicle.find(1)
  def product = Product.find(1)

  # The same rows with the same ids each time.
  def begin_anew(coverage)
    Settings.coverage = coverage
    Settings.apply(transport: "memory")
    coverage == "triggers" ? TriggerSet.create : TriggerSet.drop
    ReplicatesTo.disabled do
      tables = Library::TABLES + Shop::TABLES + %w[vehicles owners parts]
      connection.execute("truncate #{tables.join(', ')} restart identity cascade; delete from replicates_to_outbox")
      Owner.create!(name: "Ann", created_at: Time.at(0), updated_at: Time.at(0))
      Vehicle.create!(plate: "a", owner_id: 1)
      Truck.create!(plate: "t")
      Part.create!(code: "p", name: "Axle")
      Product.create!(sku: "s", region: "north", number: 1, name: "Lamp")
      Author.create!(name: "Ann").tap { |author| 2.times { |n| author.books.create!(title: "B#{n}") } }
    end
  end

  # What is on the wire of a record, without its version and its time.
  def bytes(entry)
    [entry.topic, Wire.to_enum(:each_field, entry.bytes).reject { |number, _| [5, 6].include?(number) }]
  end

  def records_of(coverage, change)
    begin_anew(coverage)
    before = ReplicatesTo::Memory.kept.added
    instance_exec(&change)
    expect(outbox_rows).to eq([])
    ReplicatesTo::Memory.kept.since(before).map { |entry| bytes(entry) }
  end

  {
    "a create" => -> { Vehicle.create!(plate: "n", owner_id: 1) },
    "a create that is left out" => -> { Vehicle.create!(vin: "secret") },
    "an update" => -> { vehicle.update!(plate: "x") },
    "an update that is left out from now on" => -> { vehicle.update!(vin: "secret") },
    "a delete" => -> { vehicle.destroy! },
    "a save that changes nothing" => -> { vehicle.save! },
    "two saves of one transaction" => -> { Vehicle.transaction { 2.times { |n| vehicle.update!(plate: "x#{n}") } } },
    "a create and an update of one transaction" => -> { Part.transaction { Part.create!(code: "q").update!(name: "x") } },
    "a row that came and went" => -> { Part.transaction { Part.create!(code: "q").destroy! } },
    "a row that went and came" => -> { Part.transaction { Part.find("p").destroy! && Part.create!(code: "p", name: "y") } },
    "a savepoint that is rolled back" => lambda {
      Vehicle.transaction do
        vehicle.update!(plate: "x")
        Owner.transaction(requires_new: true) { owner.update!(name: "rolled back") && raise(ActiveRecord::Rollback) }
      end
    },
    "touches" => -> { Vehicle.transaction { Vehicle.all.each { |one| one.update!(owner_id: 1) } && owner.touch } },
    "update_columns" => -> { vehicle.update_columns(plate: "x") },
    "a counter" => -> { vehicle.increment!(:counter) },
    "update_all" => -> { Vehicle.update_all(plate: "x") },
    "update_all and a save of one transaction" => lambda {
      Vehicle.transaction { Vehicle.update_all(plate: "x") && vehicle.update!(vin: "y") }
    },
    "delete_all" => -> { Vehicle.delete_all },
    "insert_all" => -> { Part.insert_all([{code: "q"}, {code: "p"}]) },
    "upsert_all of a row that is there" => -> { Part.upsert_all([{code: "p", name: "x"}]) },
    "a changed primary key" => -> { Part.find("p").update!(code: "q") },
    "a changed key" => -> { product.update!(sku: "z") },
    "a key that changes twice" => -> { Product.transaction { %w[x y].each { |sku| Product.find(1).update!(sku: sku) } } },
    "keys that change hands" => lambda {
      Product.transaction do
        product.update!(sku: "z")
        Product.create!(sku: "s", region: "south", number: 2)
      end
    },
    "a delete by a key" => -> { product.destroy! },
    "a changed class" => -> { vehicle.becomes!(Truck).save! },
    "a changed class in bulk" => -> { Vehicle.where(type: "Truck").update_all(type: nil) },
    "an owner that republishes" => -> { Author.first.update!(name: "Bea") },
    "replicate!" => -> { vehicle.replicate!(to: :billing) },
    "replicate! beside a change" => -> { Vehicle.transaction { vehicle.replicate!(to: :billing) && vehicle.update!(plate: "x") } },
    "an origin" => -> { ReplicatesTo.with_origin("freight") { Truck.first.update!(plate: "x") } },
    "disabled" => -> { Vehicle.transaction { ReplicatesTo.disabled { owner.update!(name: "x") } && vehicle.update!(plate: "x") } }
  }.each do |name, change|
    it "publish the same for #{name}" do
      callbacks, triggers = %w[callbacks triggers].map { |coverage| records_of(coverage, change) }
      expect(triggers).to match_array(callbacks)
    end
  end

  it "differ where only triggers know that an upsert inserted a row" do
    change = -> { Part.upsert_all([{code: "q", name: "x"}]) }
    callbacks, triggers = %w[callbacks triggers].map { |coverage| records_of(coverage, change).first.last.to_h[4] }
    expect([callbacks, triggers]).to eq([2, 1])
  end
end
