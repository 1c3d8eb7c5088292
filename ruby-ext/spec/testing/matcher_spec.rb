# frozen_string_literal: true

require_relative "testing_helper"

RSpec.describe "expect { }.to replicate" do
  include_context "with a database on", :sqlite
  include_context "in memory"

  let!(:vehicle) { Vehicle.create!(plate: "KA-1", vin: "1") }

  def failure
    yield
    nil
  rescue RSpec::Expectations::ExpectationNotMetError => e
    e.message
  end

  it "is met by a record of the row, of its model, or of one of several" do
    expect { vehicle.update!(plate: "KA-2") }.to replicate(vehicle).to(:billing).as(:update).with(registration: "KA-2")
    expect { Vehicle.update_all(counter: 1) }.to replicate(Vehicle)
    expect { Vehicle.transaction { [vehicle, Vehicle.new].each { |row| row.update!(vin: "7") } } }
      .to replicate(vehicle).and replicate(Vehicle).as(:create)
  end

  it "is not met by another row, destination, operation or value" do
    other = Vehicle.create!(plate: "KA-9")
    expect { other.update!(plate: "KA-8") }.not_to replicate(vehicle)
    expect { vehicle.update!(plate: "KA-2") }.not_to replicate(Owner)
    truck = Truck.create!(plate: "KA-3")
    expect { ReplicatesTo.with_origin("freight") { truck.update!(plate: "KA-4") } }.not_to replicate(truck).to(:freight)
    expect { truck.update!(plate: "KA-5") }.to replicate(truck).to(:freight)
    expect { vehicle.update!(plate: "KA-6") }.not_to replicate(vehicle).as(:delete)
    expect { vehicle.update!(plate: "KA-7") }.not_to replicate(vehicle).with(registration: "KA-6")
  end

  it "sees only what its own block publishes" do
    vehicle.update!(plate: "KA-2")
    expect { vehicle.reload }.not_to replicate(Vehicle)
  end

  it "knows a row that gets its key inside the block" do
    fresh = Vehicle.new(plate: "KA-2")
    expect { fresh.save! }.to replicate(fresh).as(:create)
    expect { fresh.destroy! }.to replicate(fresh).as(:delete)
  end

  it "knows a row whose key changes inside the block under both" do
    part = Part.create!(code: "a", name: "Axle")
    expect { part.update!(code: "b") }.to replicate(part).as(:create).and replicate(part).as(:delete)
    expect { part.update!(name: "Wheel") }.not_to replicate(part).as(:delete)
  end

  it "knows a row by the key that a destination has for it" do
    wagon = stub_const("Wagon", Class.new(ActiveRecord::Base) do
      define_singleton_method(:name) { "Wagon" }
      self.table_name = "parts"
      self.primary_key = "code"
      include ReplicatesTo
      replicates_to :billing, key: :name
    end)
    ActiveRecord::Base.connection.change_column_null(:parts, :name, false)
    ActiveRecord::Base.connection.add_index(:parts, :name, unique: true)
    axle = nil
    expect { axle = wagon.create!(code: "a", name: "Axle") }.to replicate(wagon).as(:create)
    expect { axle.update!(name: "Wheel") }.to replicate(axle).as(:update).with(code: "a")
    expect(ReplicatesTo::Testing.records.map(&:key)).to include("Axle", "Wheel")
  end

  it "takes matchers and patterns" do
    expect { vehicle.update!(plate: "KA-2", counter: 3) }
      .to replicate(vehicle).with(registration: a_string_starting_with("KA"), vin: /1/, counter: be_between(1, 5), owner_name: nil)
  end

  it "takes Ruby values of what JSON has no type for" do
    times = model_with_times
    at = Time.utc(2026, 11, 22, 6, 46, 0, 123_456.789r)
    expect { times.create!(created_at: at, updated_at: at) }
      .to replicate(times).with(created_at: at, price: BigDecimal("10.5"), day: Date.new(2026, 11, 22))
    expect { times.create!(created_at: at, updated_at: at) }.not_to replicate(times).with(created_at: at + 1)
    expect { times.create! }.not_to replicate(times).with(price: BigDecimal("10.51"))
    expect { times.create! }.to replicate(times).with(price: "10.50", list: [1, be_even], tags: {a: 1})
  end

  def model_with_times
    stub_const("Wagon", Class.new(ActiveRecord::Base) do
      define_singleton_method(:name) { "Wagon" }
      self.table_name = "vehicles"
      self.inheritance_column = nil
      include ReplicatesTo
      replicates_to :billing, only: %i[created_at], compute: {
        price: ->(_) { "10.50" }, day: ->(_) { Date.new(2026, 11, 22) }, list: ->(_) { [1, 2] }, tags: ->(_) { {a: 1} }
      }
    end)
  end

  it "refuses names that the declarations do not have, which not_to could never find" do
    expect { expect { nil }.not_to replicate(vehicle).to(:biling) }
      .to raise_error(ArgumentError, "Vehicle publishes no destination biling (did you mean billing?)")
    expect { expect { nil }.not_to replicate(vehicle).as(:updated) }
      .to raise_error(ArgumentError, "Vehicle publishes no operation updated (did you mean update?)")
    expect { expect { nil }.not_to replicate(vehicle).with(plate: "KA-1") }
      .to raise_error(ArgumentError, /\AVehicle publishes no attribute plate/)
    expect { expect { nil }.not_to replicate(vehicle).as(:delete).with(vin: "1") }
      .to raise_error(ArgumentError, "a delete has no attributes")
    expect { expect { nil }.not_to replicate("Vehicle") }
      .to raise_error(ArgumentError, /"Vehicle" is neither a replicated model nor a row of one/)
  end

  it "shows the nearest record, where it is otherwise, and what else was published" do
    owner = Owner.create!(name: "Ann")
    message = failure do
      expect { [vehicle, owner].each { |row| row.update!(row.is_a?(Owner) ? {name: "Bea"} : {plate: "KA-2"}) } }
        .to replicate(vehicle).to(:billing).as(:create).with(vin: "1", registration: a_string_ending_with("3"))
    end
    version = ReplicatesTo::Testing.records(model: Vehicle).last.version
    expect(message).to eq(<<~MESSAGE.chomp)
      expected Vehicle #{vehicle.id} -> billing, create to be published; the nearest of 2 records is Vehicle #{vehicle.id} -> billing, update, version #{version}
      -operation: create
      +operation: update
       vin: "1"
      -registration: a string ending with "3"
      +registration: "KA-2"
        published: Owner #{owner.id} -> billing, update
    MESSAGE
  end

  it "says that nothing was published" do
    expect(failure { expect { vehicle.reload }.to replicate(vehicle) })
      .to eq("expected Vehicle #{vehicle.id} to be published, but nothing was")
    expect(failure { expect { nil }.to replicate(Vehicle.new) }).to eq("expected Vehicle (not saved) to be published, but nothing was")
  end

  it "says what was published against the expectation" do
    message = failure { expect { vehicle.update!(plate: "KA-2") }.not_to replicate(Vehicle).to(:billing) }
    expect(message).to eq("expected Vehicle -> billing not to be published\n  published: Vehicle #{vehicle.id} -> billing, update")
  end

  it "describes itself" do
    expect(replicate(vehicle).to(:billing).as(:update).description).to eq("replicate Vehicle #{vehicle.id} -> billing, update")
  end
end

RSpec.describe ReplicatesTo::Testing, ".records" do
  include_context "with a database on", :sqlite
  include_context "in memory"

  it "are in the order of publishing, and can be asked for by destination and model" do
    Owner.create!(name: "Ann")
    Truck.create!(plate: "KA-1")
    of = ->(**which) { described_class.records(**which).map { |record| [record.destination, record.model] } }
    expect(of.call).to eq([%w[billing Owner], %w[billing Vehicle], %w[freight Lorry]])
    expect(of.call(to: :freight)).to eq([%w[freight Lorry]])
    expect(of.call(model: Truck)).to eq([%w[billing Vehicle], %w[freight Lorry]])
    expect(of.call(model: "Lorry")).to eq([%w[freight Lorry]])
    expect(of.call(to: "billing", model: Owner)).to eq([%w[billing Owner]])
  end

  it "tell everything that a consumer and its logs are told" do
    Owner.create!(name: "Ann", email: "ann@example.org")
    record = described_class.records.first
    expect([record.source, record.operation, record.sensitive]).to eq(["monolith", "create", %w[email]])
    expect(record.attributes).to eq("name" => "Ann", "email" => "ann@example.org")
    expect(record.committed_at).to be_within(30).of(Time.now)
  end

  [1, 2].each do |example|
    it "are cleared between examples (#{example} of 2)" do
      expect(described_class.records).to eq([])
      Owner.create!(name: "Ann")
    end
  end
end
