# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe "replicates_to as a declaration" do
  # A class with a name, and no table: nothing here may need one.
  def model(name = "Vehicle", parent: ActiveRecord::Base, abstract: false, &body)
    Class.new(parent) do
      define_singleton_method(:name) { name }
      self.abstract_class = true if abstract
      include ReplicatesTo
      class_exec(&body) if body
    end
  end

  def refusal(name = "Vehicle", &body)
    model(name, &body)
    nil
  rescue ReplicatesTo::DeclarationError => e
    e.message
  end

  {
    "an unknown keyword" =>
      [proc { replicates_to :billing, onyl: %i[vin] }, "Vehicle: replicates_to :billing does not know onyl: (did you mean only:?)"],
    "a destination declared twice" =>
      [proc { 2.times { replicates_to :billing } }, "Vehicle: replicates_to :billing is declared twice"],
    "a bad destination" =>
      [proc { replicates_to "Bill-ing" }, 'Vehicle: destination "Bill-ing" must match [a-z][a-z0-9_]{0,62}'],
    "only: with except:" =>
      [proc { replicates_to :billing, only: %i[vin], except: %i[id] }, "Vehicle: replicates_to :billing takes only: or except:, not both"],
    "two attributes of one public name" =>
      [proc { replicates_to :billing, only: %i[plate], rename: {plate: :registration}, compute: {registration: :plate} },
       "Vehicle: replicates_to :billing has two attributes named registration: plate (renamed) and registration (computed)"],
    "a selected attribute that another is renamed to" =>
      [proc { replicates_to :billing, only: %i[vin plate], rename: {plate: :vin} },
       "Vehicle: replicates_to :billing has two attributes named vin: vin (selected) and plate (renamed)"],
    "renaming what only: leaves out" =>
      [proc { replicates_to :billing, only: %i[plate], rename: {vin: :number} },
       "Vehicle: replicates_to :billing renames vin, which only: leaves out"],
    "renaming what except: leaves out" =>
      [proc { replicates_to :billing, except: %i[vin], rename: {vin: :number} },
       "Vehicle: replicates_to :billing renames vin, which except: leaves out"],
    "masking what is not selected" =>
      [proc { replicates_to :billing, only: %i[plate], sensitive: %i[vin] },
       "Vehicle: replicates_to :billing masks vin, which only: leaves out"],
    "a volatile column" =>
      [proc { replicates_to :billing, only: %i[vin], volatile: %i[vin] },
       "Vehicle: replicates_to :billing calls vin volatile, which is not a compute"],
    "a compute that cannot be called" =>
      [proc { replicates_to :billing, compute: {age: 3} }, "Vehicle: compute age: takes a Symbol or a callable, not 3"],
    "a condition that cannot be called" =>
      [proc { replicates_to :billing, if: "billable?" }, 'Vehicle: if: takes a Symbol or a callable, not "billable?"'],
    "a selection that is not a list of names" =>
      [proc { replicates_to :billing, only: 3 }, "Vehicle: replicates_to :billing takes a list of names in only:, not 3"],
    "an association that is republished twice" =>
      [proc { 2.times { republishes :parts } }, "Vehicle: republishes :parts is declared twice"],
    "an unknown keyword of republishes" =>
      [proc { republishes :parts, iff: :moved? }, "Vehicle: republishes :parts does not know iff: (did you mean if:?)"],
    "a condition of republishes that cannot be called" =>
      [proc { republishes :parts, unless: 3 }, "Vehicle: unless: takes a Symbol or a callable, not 3"],
    "something else than an association's name" =>
      [proc { republishes %i[parts wheels] }, "Vehicle: republishes takes the name of an association, not [:parts, :wheels]"],
    "a key that is not a name" =>
      [proc { replicates_to :billing, key: 3 }, "Vehicle: replicates_to :billing takes a list of names in key:, not 3"],
    "a key of nothing" =>
      [proc { replicates_to :billing, key: [] }, "Vehicle: replicates_to :billing takes names of columns in key:, not []"],
    "a key of one column twice" =>
      [proc { replicates_to :billing, key: %i[vin vin] }, "Vehicle: replicates_to :billing names vin twice in key:"],
    "a key that is to be masked" =>
      [proc { replicates_to :billing, key: %i[tenant vin], sensitive: %i[vin] },
       "Vehicle: replicates_to :billing masks vin, which is in key:, and keys are shown in every log"],
    "a model name that cannot be a topic's" =>
      [proc { replicates_to :billing, as: "a.b" }, 'Vehicle: model name "a.b" must be a class name of at most 100 characters']
  }.each do |misuse, (body, message)|
    it "refuses #{misuse}" do
      expect(refusal(&body)).to eq(message)
    end
  end

  it "refuses to be included in anything but a model" do
    expect { Struct.new(:a) { def self.name = "Struct"; include ReplicatesTo } }
      .to raise_error(ReplicatesTo::DeclarationError, "ReplicatesTo can only be included in an ActiveRecord class, not in Struct")
  end

  it "refuses a class without a name" do
    expect { Class.new(ActiveRecord::Base) { include ReplicatesTo; replicates_to :billing } }
      .to raise_error(ReplicatesTo::DeclarationError, /needs a name/)
  end

  it "puts none of the gem's constants among the model's" do
    stub_const("Mapping", :ours)
    klass = model { replicates_to :billing }
    expect(klass.class_eval("Mapping", __FILE__, __LINE__)).to eq(:ours)
    expect(klass.constants.map(&:to_s)).not_to include("Publisher", "Outbox", "Notes", "Config")
    expect(klass.ancestors).not_to include(ReplicatesTo)
  end

  describe "inheritance" do
    let(:parent) { model("Vehicle") { replicates_to :billing, only: %i[plate] } }

    it "gives a subclass the declarations and the public name of the class that declared them" do
      child = model("Truck", parent: parent)
      expect(child.replicates_to_declarations.keys).to eq([:billing])
      expect(child.replicates_to_declarations[:billing].public_name(child)).to eq("Vehicle")
    end

    it "lets a subclass replace a declaration under the same name" do
      child = model("Truck", parent: parent) { replicates_to :billing, only: %i[vin] }
      declaration = child.replicates_to_declarations[:billing]
      expect([declaration.only, declaration.public_name(child)]).to eq([%w[vin], "Vehicle"])
      expect(parent.replicates_to_declarations[:billing].only).to eq(%w[plate])
    end

    it "refuses a subclass that changes the public name" do
      body = proc { replicates_to :billing, as: "Lorry" }
      expect { model("Truck", parent: parent, &body) }
        .to raise_error(ReplicatesTo::DeclarationError, 'Truck: replicates_to :billing must keep as: "Vehicle", not "Lorry"')
    end

    it "gives a subclass the associations to republish, and lets it replace a line" do
      parent.republishes :parts, if: :moved?
      parent.republishes :wheels
      child = model("Truck", parent: parent) { republishes :parts }
      expect(child.replicates_to_republications.transform_values(&:conditional?)).to eq(parts: false, wheels: false)
      expect(parent.replicates_to_republications[:parts]).to be_conditional
    end

    it "refuses a subclass that changes the key, and keeps it when nothing is said" do
      keyed = model("Vehicle") { replicates_to(:billing, key: %i[tenant vin]) }
      expect { model("Truck", parent: keyed) { replicates_to :billing, key: :vin } }
        .to raise_error(ReplicatesTo::DeclarationError, "Truck: replicates_to :billing must keep key: tenant, vin, not vin")
      expect { model("Truck", parent: parent) { replicates_to :billing, key: :vin } }
        .to raise_error(ReplicatesTo::DeclarationError, "Truck: replicates_to :billing must keep key: primary key, not vin")
      same = model("Truck", parent: keyed) { replicates_to(:billing, key: %w[tenant vin]) }
      silent = model("Lorry", parent: keyed) { replicates_to(:billing, only: %i[plate]) }
      expect([same, silent].map { |klass| klass.replicates_to_declarations[:billing].key }).to eq([%w[tenant vin]] * 2)
    end

    it "lets a class below an abstract one choose name and key, which its own subclasses keep" do
      abstract = model("Machine", abstract: true) { replicates_to(:billing, key: :serial) }
      crane = model("Crane", parent: abstract) { replicates_to(:billing, as: "Lifter", key: :number) }
      declaration = crane.replicates_to_declarations[:billing]
      expect([declaration.public_name(crane), declaration.key]).to eq(["Lifter", %w[number]])
      expect { model("TowerCrane", parent: crane) { replicates_to(:billing, key: :serial) } }
        .to raise_error(ReplicatesTo::DeclarationError, /must keep key: number, not serial/)
      expect { model("Digger", parent: model("Plant", parent: abstract)) { replicates_to(:billing, as: "Digger") } }
        .to raise_error(ReplicatesTo::DeclarationError, /must keep as: "Plant", not "Digger"/)
    end

    it "lets each concrete class of an abstract one use its own name" do
      abstract = model("Machine", abstract: true) { replicates_to :billing }
      crane = model("Crane", parent: abstract)
      tower = model("TowerCrane", parent: crane)
      declaration = abstract.replicates_to_declarations[:billing]
      expect([crane, tower].map { |klass| declaration.public_name(klass) }).to eq(%w[Crane Crane])
    end
  end
end
