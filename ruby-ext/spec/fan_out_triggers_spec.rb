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

  # By their associations, for what the block does.
  def followed
    sql("delete from replicates_to_outbox")
    yield
    ActiveRecord::Base.connection.select_values("select keys from replicates_to_outbox where operation = 'fan_out'")
                      .flat_map { |keys| JSON.parse(keys).keys }.sort
  end

  # Nobody can ask a condition there, but whether the name changed can be seen.
  it "are noted by every statement, for what may have changed" do
    expect(followed { author.update!(city: "Oslo") }).to eq(%w[awards editors portrait])
    expect(followed { sql("update authors set city = 'Bern', name = name") }).to eq(%w[awards editors portrait])
    expect(followed { sql("update authors set name = 'Bea'") }).to eq(%w[awards books editors portrait])
    expect(followed { Author.update_all(name: nil) }).to eq(%w[awards books editors portrait])
    # Under another key or class, though the name is as unknown as before.
    expect(followed { sql("update authors set id = id + 1000") }).to eq(%w[awards awards books books editors editors portrait portrait])
    expect(followed { sql("update authors set type = 'Novelist'") }).to eq(%w[awards awards books books editors editors portrait portrait])
    expect(followed { sql("delete from authors") }).to eq(%w[awards books editors portrait])
    expect(followed { Author.create!(name: "Bea") }).to eq(%w[awards books editors])
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
