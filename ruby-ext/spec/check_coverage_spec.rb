# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe ReplicatesTo::Check::Coverage do
  let(:out) { StringIO.new }

  def lines
    findings = ReplicatesTo::Check::Findings.new(out)
    described_class.new(findings).run
    out.string.lines.map(&:chomp).tap { out.truncate(out.rewind) }
  end

  # Those about one table.
  def lines_of(table)
    lines.grep(/\b#{table}\b/)
  end

  def sql(statement)
    ActiveRecord::Base.connection.execute(statement)
  end

  # A model for one example only.
  def with_model(name, primary_key = "id")
    model = stub_const(name, Class.new(ActiveRecord::Base) { include ReplicatesTo })
    model.primary_key = primary_key
    model.replicates_to(:billing)
    model
  end

  context "with triggers" do
    include_context "with a database on", :postgresql

    before do
      Settings.apply(coverage: "triggers")
      TriggerSet.create
    end

    after { TriggerSet.drop }

    let(:remedy) { "run rails g replicates_to:triggers Part, then rails db:migrate" }

    it "says which tables they cover" do
      expect(lines).to include("ok    coverage            parts, by triggers", "ok    coverage            vehicles, by triggers",
                               "ok    coverage            authors, by triggers")
      expect(lines.grep(/FAIL|warn/)).to eq([])
    end

    {
      "is missing" => "drop trigger replicates_to_monolith_update on parts",
      "has another name" => "alter trigger replicates_to_monolith_update on parts rename to other"
    }.each do |state, change|
      it "names a table where one #{state}" do
        sql(change)
        expect(lines_of("parts")).to eq(
          ["FAIL  coverage            parts has no triggers that note its changes: run rails g replicates_to:triggers Part --again, " \
           "then rails db:migrate (schema.rb keeps no triggers, structure.sql does)"]
        )
      end
    end

    {
      "shows other rows" => <<~SQL,
        drop trigger replicates_to_monolith_update on parts;
        create trigger replicates_to_monolith_update after update on parts referencing new table as new_rows
        for each statement execute function replicates_to_monolith_parts()
      SQL
      "calls another function" => <<~SQL,
        create function other() returns trigger language plpgsql as 'begin return null; end';
        drop trigger replicates_to_monolith_update on parts;
        create trigger replicates_to_monolith_update after update on parts referencing old table as old_rows new table as new_rows
        for each statement execute function other()
      SQL
      "has another function" => <<~SQL
        create or replace function replicates_to_monolith_parts() returns trigger language plpgsql as 'begin return null; end'
      SQL
    }.each do |state, change|
      it "names a table where one #{state}" do
        sql(change)
        expect(lines_of("parts")).to eq(["FAIL  coverage            the triggers of parts note what its models said before: #{remedy}"])
      ensure
        sql("drop function if exists other cascade")
      end
    end

    it "names a trigger that is disabled, or of the replica alone, and how to enable it" do
      fault = "FAIL  coverage            the trigger replicates_to_monolith_delete of parts is disabled: " \
              "alter table parts enable trigger all"
      ["disable", "enable replica"].each do |change|
        sql("alter table parts #{change} trigger replicates_to_monolith_delete")
        expect(lines_of("parts")).to eq([fault])
        sql(fault.split(": ").last)
        expect(lines_of("parts")).to match([/\Aok/])
      end
    end

    it "finds one enabled always as good" do
      sql("alter table parts enable always trigger replicates_to_monolith_delete")
      expect(lines_of("parts")).to match([/\Aok/])
    end

    it "names a table whose models have changed since" do
      allow(Truck).to receive(:name).and_return("Lorry")
      expect(lines_of("vehicles")).to match([/\AFAIL  .*the triggers of vehicles note what its models said before/])
    end

    it "names triggers that no model wants any more" do
      sql("create table wheels (id int primary key)")
      sql(<<~SQL)
        create trigger replicates_to_monolith_delete after delete on wheels referencing old table as old_rows
        for each statement execute function replicates_to_monolith_parts()
      SQL
      expect(lines_of("wheels")).to eq(
        ["FAIL  coverage            triggers of wheels note rows that no model has published: " \
         "take them away by drop trigger replicates_to_monolith_delete on wheels"]
      )
    ensure
      sql("drop table wheels")
    end

    it "leaves those of another application alone" do
      sql("create table wheels (id int primary key)")
      sql("create function other() returns trigger language plpgsql as 'begin return null; end'")
      sql("create trigger replicates_to_crm_delete after delete on wheels for each statement execute function other()")
      expect(lines_of("wheels")).to eq([])
    ensure
      sql("drop table wheels; drop function other")
    end

    it "names partitions that came later, and foreign ones" do
      sql("create table gears (id int) partition by range (id)")
      gear = with_model("Gear")
      sql("create table early_gears partition of gears for values from (0) to (10)")
      TriggerSet.run(ReplicatesTo::Triggers::Definition.new(gear).create)
      early = lines_of("gears")
      sql("create table late_gears partition of gears for values from (10) to (20)")
      sql("create foreign data wrapper nowhere; create server nowhere foreign data wrapper nowhere")
      sql("create foreign table far_gears partition of gears for values from (20) to (30) server nowhere")
      later = lines_of("gears")
      expect(early).to eq(["ok    coverage            gears, by triggers"])
      expect(later - early).to contain_exactly(
        "warn  coverage            what is written to late_gears by its own name, rather than to gears, is not noted: " \
        "run rails g replicates_to:triggers Gear --again, then rails db:migrate",
        "warn  coverage            what is written to far_gears by its own name, rather than to gears, is not noted: " \
        "foreign tables have no such triggers"
      )
    ensure
      sql("drop table gears cascade; drop foreign data wrapper nowhere cascade")
    end

    it "names a model of a view" do
      sql("create view part_views as select * from parts")
      with_model("PartView", "code")
      expect(lines_of("part_views")).to eq(["FAIL  coverage            part_views is no table, so it has no triggers"])
    ensure
      sql("drop view part_views")
    end

    it "warns under callbacks that all is noted twice" do
      Settings.apply
      again = lines_of("parts")
      expect(again).to match([/\Awarn  coverage            triggers of parts note again what callbacks note: take them away by /])
      sql(again.first.split(" by ").last)
      expect(lines_of("parts")).to eq([])
    end
  end

  context "with SQLite" do
    include_context "with a database on", :sqlite

    it "refuses triggers" do
      Settings.apply(coverage: "triggers")
      expect(lines).to match([/\AFAIL  coverage            \w+: coverage: triggers works on PostgreSQL, not on SQLite\z/])
      refused = [ReplicatesTo::ConfigurationError, "Owner: coverage: triggers works on PostgreSQL, not on SQLite"]
      expect { Owner.create! }.to raise_error(*refused)
      expect { Owner.delete_all }.to raise_error(*refused)
      expect(Owner.count).to eq(0)
    end
  end

  ADAPTERS.each do |adapter|
    context "with callbacks on #{adapter}" do
      include_context "with a database on", adapter

      it "names foreign keys whose actions change rows" do
        connection = ActiveRecord::Base.connection
        connection.create_table(:screws) { |t| t.references :author, foreign_key: {on_delete: :nullify} }
        with_model("Screw")
        expect(lines_of("screws")).to eq(
          ["warn  Screw               the foreign key to authors (on delete nullify) changes rows of screws unnoticed"]
        )
      ensure
        connection.drop_table(:screws)
      end
    end
  end
end
