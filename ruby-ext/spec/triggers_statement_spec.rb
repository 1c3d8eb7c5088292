# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe ReplicatesTo::Triggers::Statement do
  {
    'INSERT INTO "vehicles" ("plate") VALUES ($1)' => "vehicles",
    'UPDATE "public"."vehicles" SET "plate" = 1' => "vehicles",
    "update only vehicles set plate = 'delete from owners'" => "vehicles",
    "DELETE FROM\n\tvehicles" => "vehicles",
    "/* app:garage */ -- line\n insert into vehicles(plate) select 1" => "vehicles",
    "copy vehicles (plate) from stdin" => "vehicles",
    "merge into vehicles using given on true" => "vehicles",
    "with new as (insert into vehicles default values) select 1" => "vehicles",
    "with gone as (delete from owners), new as (insert into vehicles default values) select 1" => "owners vehicles"
  }.each do |sql, tables|
    it "finds the table of #{sql.inspect}" do
      expect(described_class.tables(sql)).to eq(tables.split)
    end
  end

  ['SELECT "vehicles".* FROM "vehicles" WHERE plate = \'insert into vehicles\'', "COMMIT", "explain update vehicles set plate = 1",
   "updates", "with found as (select * from vehicles) select 1", "\xff\xfe"].each do |sql|
    it "sees no write in #{sql.inspect}" do
      expect(described_class.tables(sql)).to be_nil
    end
  end

  it "takes any bytes" do
    expect(described_class.tables("insert into vehicles values ('\xff')")).to eq(%w[vehicles])
    expect(described_class.new("\xff rollback").rolls_back_inside?).to be(true)
  end
end
