# frozen_string_literal: true

require_relative "spec_helper"

ADAPTERS.each do |adapter|
  RSpec.describe ReplicatesTo::Command, "on #{adapter}" do
    include_context "with a database on", adapter
    include_context "with Kafka"

    let(:out) { StringIO.new }

    def lines
      out.string.lines.map(&:chomp)
    end

    def check(**env)
      described_class.check(out: out, env: env.transform_keys(&:to_s))
    end

    # A model for one example only.
    def with_model(name, &body)
      klass = Class.new(ActiveRecord::Base) do
        define_singleton_method(:name) { name }
        self.table_name = "vehicles"
        self.inheritance_column = nil
        include ReplicatesTo
      end
      stub_const(name, klass)
      klass.class_exec(&body)
    end

    describe "check" do
      it "says what is right, and makes missing topics when asked" do
        Settings.renew_prefix
        Settings.apply
        expect(check).to eq(1)
        expect(lines).to include(/\AFAIL  topic               gem\h+\.\S+\.Vehicle does not exist \(CREATE_TOPICS=1 makes it\)\z/)
        out.truncate(out.rewind)
        expect(check(CREATE_TOPICS: "1")).to eq(0)
        how = adapter == :postgresql ? "CACHE 1" : "AUTOINCREMENT"
        expect(lines).to include("ok    outbox              replicates_to_outbox, #{how}, 0 rows older than 10 s")
        expect(lines).to include(/\Aok    Vehicle -> billing  4 fields, mapping \h{16}\z/)
        expect(lines).to include("ok    Author              republishes books, portrait, awards, editors")
        # Vehicle reads its owner, which nothing republishes.
        expect(lines.last).to eq("0 problems, 1 warning")
      end

      it "prints JSON when asked" do
        check(FORMAT: "json")
        found = lines.map { |line| JSON.parse(line) }
        expect(found.first).to include("status" => "ok", "subject" => "config")
        expect(found.last.keys).to eq(%w[problems warnings])
      end

      it "names a column that does not exist, without repeating the model" do
        with_model("Bus") { replicates_to :billing, only: %i[plat] }
        expect(check(CREATE_TOPICS: "1")).to eq(1)
        expect(lines).to include("FAIL  Bus -> billing      names plat, which vehicles does not have (did you mean plate?)")
        expect(lines.last).to eq("1 problem, 1 warning")
      end

      it "refuses two tables under one public name" do
        with_model("Bus") { self.table_name = "owners"; replicates_to :billing, only: %i[name], as: "Vehicle" }
        check(CREATE_TOPICS: "1")
        expect(lines).to include(/\AFAIL  Vehicle -> billing  is the name of .*Bus.*: give one an as:\z/)
      end

      it "warns when nothing is noted, and of rows that cannot be published" do
        Settings.apply(enabled: false)
        outbox.insert("monolith", [note("Vehicle", "[1]", "update")])
        outbox.fail(ActiveRecord::Base.connection.select_value("select id from replicates_to_outbox"), "boom", 5)
        check(CREATE_TOPICS: "1")
        expect(lines).to include("warn  config              enabled is false: nothing is noted",
                                 "warn  outbox              1 rows cannot be published, the first is Vehicle [1]: boom")
        expect(lines.last).to eq("0 problems, 3 warnings")
      end

      it "warns of foreign keys by which the database changes rows unnoticed" do
        ActiveRecord::Base.connection.create_table(:wheels) { |t| t.references :vehicle, foreign_key: {on_delete: :cascade} }
        with_model("Wheel") { self.table_name = "wheels"; replicates_to :billing }
        check(CREATE_TOPICS: "1")
        cascade = "the foreign key to vehicles (on delete cascade) changes rows of wheels unnoticed"
        expect(lines).to include("warn  Wheel               #{cascade}")
      ensure
        ActiveRecord::Base.connection.drop_table(:wheels)
      end

      it "says that the outbox is missing" do
        ActiveRecord::Base.connection.rename_table(:replicates_to_outbox, :elsewhere)
        expect(check(CREATE_TOPICS: "1")).to eq(1)
        expect(lines).to include(/\AFAIL  outbox              table replicates_to_outbox is missing: run rails g replicates_to:install/)
      ensure
        ActiveRecord::Base.connection.rename_table(:elsewhere, :replicates_to_outbox)
      end

      it "says which columns the outbox lacks, and so does the first write" do
        ActiveRecord::Base.connection.execute("alter table replicates_to_outbox rename destinations to elsewhere")
        expect(check(CREATE_TOPICS: "1")).to eq(1)
        expect(lines).to include(/\AFAIL  outbox              table replicates_to_outbox has no destinations: add what the migration/)
        ReplicatesTo::Outbox::Statements.verified.clear
        expect { Vehicle.create! }.to raise_error(ReplicatesTo::ConfigurationError, /has no destinations/)
      ensure
        ActiveRecord::Base.connection.execute("alter table replicates_to_outbox rename elsewhere to destinations")
      end

      if adapter == :postgresql
        it "says that a database does not answer, and goes on to the rest" do
          ActiveRecord::Base.establish_connection(@database.config.merge(url: "postgres://127.0.0.1:1/nowhere"))
          expect(check(CREATE_TOPICS: "1")).to eq(1)
          expect(lines).to include(/\AFAIL  Vehicle -> billing  .*port 1 failed: Connection refused/,
                                   /\AFAIL  outbox              the database of \w+ does not answer: .*Connection refused/)
          expect(lines.last).to match(/\A\d+ problems, 1 warning\z/)
        ensure
          ActiveRecord::Base.establish_connection(@database.config)
        end
      end

      it "names the model that lives in a database that it does not work on" do
        allow(ActiveRecord::Base.connection).to receive(:adapter_name).and_return("Mysql2")
        expect(check(CREATE_TOPICS: "1")).to eq(1)
        expect(lines).to include("FAIL  Vehicle -> billing  replicates_to works on PostgreSQL and SQLite, not on Mysql2")
      end

      it "says once that no broker answers" do
        Settings.apply(kafka__brokers: "127.0.0.1:1", kafka__properties: {"log_level" => "0"})
        stub_const("ReplicatesTo::Check::Topics::SECONDS_MAX", 1)
        expect(check).to eq(1)
        expect(lines.grep(/\AFAIL  Kafka .*127\.0\.0\.1:1/).size).to eq(1)
      end

      it "refuses a librdkafka property that does not exist" do
        Settings.apply(kafka__properties: {"lingre.ms" => "1"})
        expect(check).to eq(1)
        expect(lines).to include(/\AFAIL  Kafka .*lingre\.ms/)
      end
    end

    describe "sweep" do
      before { Models.topics.each { |name| Topic.new(name).create } }

      it "publishes what is older than AFTER, then ends with ONCE" do
        vehicle = ReplicatesTo.disabled { Vehicle.create!(plate: "KA-1") }
        outbox.insert("monolith", [note("Vehicle", "[#{vehicle.id}]", "update")])
        expect(described_class.sweep(out: out, env: {"ONCE" => "1", "AFTER" => "0s"})).to eq(0)
        expect(lines.last).to eq("swept 1 rows, 0 cannot be published")
        expect(topic(Vehicle, :billing).records.size).to eq(1)
      end

      it "prints rows that cannot be published, with their errors, and fails" do
        outbox.insert("monolith", [note("Gone", "[7]", "update")])
        expect(described_class.sweep(out: out, env: {"ONCE" => "1", "AFTER" => "0s"})).to eq(1)
        expect(lines).to eq(["Gone [7]  1 attempts  Gone is not a replicated model of this application",
                             "swept 1 rows, 1 cannot be published"])
      end

      it "refuses AFTER=soon" do
        sweep = -> { described_class.sweep(out: out, env: {"AFTER" => "soon"}) }
        expect { expect(sweep.call).to eq(1) }.to output(/AFTER must be a duration/).to_stderr
      end
    end

    describe "status" do
      it "shows what waits, what cannot be published, and runs" do
        Models.topics.each { |name| Topic.new(name).create }
        described_class.backfill(%w[Vehicle billing], out: StringIO.new, env: {})
        outbox.insert("monolith", [note("Vehicle", "[1]", "update")])
        outbox.fail(ActiveRecord::Base.connection.select_value("select id from replicates_to_outbox"), "boom", 5)
        expect(described_class.status(out: out, env: {})).to eq(0)
        expect(lines).to match([/\Aoutbox  1 rows, the oldest \d+\.\d s, 1 cannot be published\z/, "  Vehicle [1]  1 attempts  boom",
                                /\Arun \d+  Vehicle -> billing  succeeded  0\/0 rows  0 failed\z/])
      end

      it "prints JSON when asked" do
        described_class.status(out: out, env: {"FORMAT" => "json"})
        expect(JSON.parse(lines.first)).to eq("rows" => 0, "failing" => 0, "oldest_seconds" => nil)
      end
    end
  end
end
