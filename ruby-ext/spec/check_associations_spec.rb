# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe ReplicatesTo::Check::Associations do
  include_context "with a database on", :postgresql

  let(:out) { StringIO.new }

  # Lines about the models of the example, which begin with their names.
  def findings(*models)
    described_class.new(ReplicatesTo::Check::Findings.new(out)).run
    out.string.lines.map(&:chomp).grep(/\A\w+ +(?:#{models.join('|')})\b/).map(&:squish)
  end

  # A model for one example only, with names that Rails has not seen before: it remembers classes by them.
  def model(name, table = "vehicles", superclass: ActiveRecord::Base, &body)
    klass = Class.new(superclass) do
      self.table_name = table
      self.inheritance_column = nil
    end
    stub_const(name, klass)
    klass.include ReplicatesTo
    klass.class_exec(&body) if body
    klass
  end

  it "warns of an association that nothing republishes, and names what to add" do
    model("Holder1", "owners") { has_many :vessels, class_name: "Vessel1", foreign_key: :owner_id }
    model("Vessel1") do
      belongs_to :owner, class_name: "Holder1"
      replicates_to :search, includes: :owner
    end
    expect(findings("Vessel1")).to eq(["warn Vessel1 -> search reads owner, which nothing republishes: " \
                                       "add republishes :vessels to Holder1"])
  end

  it "is content when the other side republishes it" do
    model("Holder2", "owners") do
      has_many :vessels, class_name: "Vessel2", foreign_key: :owner_id
      republishes :vessels
    end
    model("Vessel2") do
      belongs_to :owner, class_name: "Holder2"
      replicates_to :search, includes: [:owner]
    end
    expect(findings("Vessel2", "Holder2")).to eq(["ok Holder2 republishes vessels"])
  end

  it "asks children to touch what is computed from them, and is content when they do" do
    model("Holder3", "owners") do
      has_many :vessels, class_name: "Vessel3", foreign_key: :owner_id
      replicates_to :search, includes: :vessels
    end
    vessel = model("Vessel3") { belongs_to :owner, class_name: "Holder3" }
    expect(findings("Holder3")).to eq(["warn Holder3 -> search reads vessels, which nothing republishes: " \
                                       "add touch: true to belongs_to :owner of Vessel3"])
    vessel.belongs_to :owner, class_name: "Holder3", touch: true
    out.truncate(out.rewind)
    expect(findings("Holder3")).to eq([])
  end

  it "looks at nested associations, by their whole way, and at touches that go on" do
    model("Town4", "parts")
    model("Holder4", "owners") do
      belongs_to :town, class_name: "Town4", foreign_key: :email
      has_many :vessels, class_name: "Vessel4", foreign_key: :owner_id
      republishes :vessels
    end
    model("Vessel4") do
      belongs_to :owner, class_name: "Holder4"
      replicates_to :search, includes: [{owner: :town}]
    end
    expect(findings("Vessel4")).to eq(["warn Vessel4 -> search reads owner.town, which nothing republishes: " \
                                       "give Town4 an association to Vessel4, and republish it"])
    Town4.belongs_to :holder, class_name: "Holder4", touch: true
    out.truncate(out.rewind)
    expect(findings("Vessel4")).to eq([])
  end

  it "looks at the table between, and at the owners of polymorphic rows" do
    described_class.new(ReplicatesTo::Check::Findings.new(out)).run
    expect(out.string).not_to match(/Editor -> billing|Award -> billing/)
    allow(Author).to receive(:replicates_to_republications).and_return({})
    allow(Contract).to receive(:reflect_on_all_associations).and_return([])
    described_class.new(ReplicatesTo::Check::Findings.new(out)).run
    expect(out.string.lines.map(&:squish)).to include(
      "warn Editor -> billing reads authors, which nothing republishes: add republishes :editors to Author",
      "warn Editor -> billing reads authors, which nothing republishes: give Contract an association to Editor, and republish it",
      "warn Award -> billing reads winner, which nothing republishes: add republishes :awards to Author"
    )
  end

  it "warns of children that would have all their siblings published again" do
    model("Holder7", "owners") do
      has_many :vessels, class_name: "Vessel7", foreign_key: :owner_id
      republishes :vessels, if: ->(_) { true }
    end
    model("Vessel7") do
      belongs_to :owner, class_name: "Holder7", touch: true
      replicates_to :search, includes: :owner
    end
    expect(findings("Holder7").last).to eq("warn Holder7 republishes all vessels whenever one of them touches its owner: " \
                                           "say whose change matters, as in republishes :vessels, if: :saved_change_to_name?")
    stub_const("Holder8", Class.new(Holder7))
    Holder8.republishes :vessels, if: :saved_change_to_name?
    out.truncate(out.rewind)
    expect(findings("Holder8")).to eq(["ok Holder8 republishes vessels"])
  end

  it "says it once for a hierarchy of classes" do
    model("Holder5", "owners")
    model("Vessel5") do
      belongs_to :owner, class_name: "Holder5"
      replicates_to :search, includes: :owner
    end
    model("Barge5", superclass: Vessel5)
    expect(findings("Vessel5", "Barge5").size).to eq(1)
  end

  it "refuses what cannot be followed, and what is no association" do
    model("Holder6", "owners") { republishes :vehicle }
    model("Vessel6") do
      belongs_to :owner, class_name: "Holder6"
      replicates_to :search, includes: :ownr
    end
    Holder6.has_many :vehicles, class_name: "Vessel6", foreign_key: :owner_id
    expect(findings("Holder6", "Vessel6")).to contain_exactly(
      "FAIL Holder6 republishes :vehicle, which is not an association (did you mean vehicles?)",
      "FAIL Vessel6 -> search includes ownr, which is not an association of Vessel6 (did you mean owner?)"
    )
  end
end
