# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe "fan-outs with coverage: triggers" do
  include_context "with a database on", :postgresql
  include_context "without a publisher"

  before(:all) do
    Settings.apply(coverage: "triggers")
    TriggerSet.create
  end

  before { Settings.apply(coverage: "triggers") }

  def sql(statement)
    ActiveRecord::Base.connection.execute(statement)
  end

  def unnoted(&block)
    ReplicatesTo.disabled(&block)
  end

  let!(:author) { unnoted { Author.create!(name: "Ann") } }

  # Nobody can ask a condition there.
  it "are noted by every statement, for all associations, and once" do
    author.update!(city: "Oslo")
    sql("update authors set city = 'Bern'")
    Author.update_all(city: "Paris")
    sql("delete from authors")
    expect(noted).to eq([["Author", author.id, "fan_out"]] * 4)
    expect(ActiveRecord::Base.connection.select_values("select keys from replicates_to_outbox")).to eq([nil] * 4)
  end

  it "name the class of each row, and both when it changes" do
    novelist = unnoted { Novelist.create!(name: "Nia") }
    sql("update authors set city = 'Bern' where id = #{novelist.id}")
    sql("update authors set type = 'Novelist' where id = #{author.id}")
    expect(noted).to contain_exactly(["Novelist", novelist.id, "update"], ["Novelist", novelist.id, "fan_out"],
                                     ["Novelist", author.id, "update"], ["Author", author.id, "fan_out"],
                                     ["Novelist", author.id, "fan_out"])
  end

  it "are not noted where nothing is" do
    unnoted { author.update!(name: "Bea") }
    expect(noted).to eq([])
  end
end
