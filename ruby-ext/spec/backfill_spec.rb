# frozen_string_literal: true

require_relative "spec_helper"

ADAPTERS.each do |adapter|
  RSpec.describe ReplicatesTo::Backfill, "on #{adapter}" do
    include_context "with a database on", adapter
    include_context "with Kafka"

    before { Models.topics.each { |name| Topic.new(name).create } }
    after { Vehicle.computing = nil }

    let(:out) { StringIO.new }

    def backfill(*arguments, **env)
      ReplicatesTo::Command.backfill(arguments, out: out, env: env.transform_keys(&:to_s))
    end

    def create_vehicles(count, model: Vehicle)
      ReplicatesTo.disabled { Array.new(count) { |n| model.create!(plate: "KA-#{n}") } }
    end

    def records(model = Vehicle, destination = :billing)
      topic(model, destination).records
    end

    def runs
      outbox.runs.list("monolith")
    end

    it "publishes every row as a snapshot, under one version and the run's id" do
      vehicles = create_vehicles(25)
      expect(backfill("Vehicle", "billing", BATCH: "10")).to eq(0)
      expect(records.map(&:key)).to match_array(vehicles.map { |row| row.id.to_s })
      expect(records.map { |record| [record.operation, record.version, record.run_id] }.uniq)
        .to eq([["snapshot", runs.first.fence, runs.first.id.to_s]])
      begun, ended = out.string.lines
      expect(begun).to match(/\Arun \d+  Vehicle -> billing  fence \d+  mapping \h{16}\n\z/)
      expect(ended).to match(/\Arun \d+  succeeded  25 rows  0 failed  00:00:\d\d\n\z/)
    end

    it "gives every later change a higher version, and every earlier one a lower" do
      vehicle = Vehicle.create!(plate: "before")
      ReplicatesTo.flush(timeout: 20)
      backfill("Vehicle", "billing")
      vehicle.update!(plate: "after")
      ReplicatesTo.flush(timeout: 20)
      expect(records.sort_by(&:version).map(&:operation)).to eq(%w[create snapshot update])
    end

    it "publishes to all of a model's destinations when none is named" do
      create_vehicles(2, model: Truck)
      backfill("Truck")
      expect([records(Truck, :billing), records(Truck, :freight)].map(&:size)).to eq([2, 2])
    end

    it "calls rows by the columns that the destination asked for" do
      [Product, Gadget].each.with_index(1) do |model, n|
        ReplicatesTo.disabled { model.create!(sku: "k#{n}", region: "a,b", number: n, name: "Lamp") }
      end
      expect(backfill("Product", BATCH: "1")).to eq(0)
      expect(records(Product, :shop).map(&:key)).to contain_exactly("k1", "k2")
      expect(records(Product, :places).map(&:key)).to contain_exactly("a%2Cb,1", "a%2Cb,2")
    end

    it "takes a scope, a condition and a subclass" do
      create_vehicles(3)
      create_vehicles(2, model: Truck)
      backfill("Vehicle", "billing", WHERE: "plate = 'KA-1'")
      expect(records.size).to eq(2)
      Vehicle.scope(:first_plate, -> { where(plate: "KA-0") })
      backfill("Vehicle", "billing", SCOPE: "first_plate")
      expect(records.size).to eq(4)
      backfill("Truck", "billing")
      expect(records.size).to eq(6)
    end

    it "leaves out rows whose condition says no" do
      create_vehicles(2).first.tap { |row| ReplicatesTo.disabled { row.update!(vin: "secret") } }
      expect(backfill("Vehicle", "billing")).to eq(0)
      expect(records.size).to eq(1)
    end

    it "goes through text keys in the order of the database" do
      codes = ["b", "a", "C", "ä", "%,"]
      ReplicatesTo.disabled { codes.each { |code| Part.create!(code: code) } }
      backfill("Part", "billing", BATCH: "2")
      expect(records(Part).map(&:key)).to match_array(codes)
    end

    it "counts a row that cannot be encoded, names it, and fails the run" do
      bad, * = create_vehicles(3)
      Vehicle.computing = ->(row) { row.id == bad.id ? Object.new : "fine" }
      errors = []
      subscriber = ActiveSupport::Notifications.subscribe("error.replicates_to") { |*, payload| errors << payload[:primary_key] }
      expect(backfill("Vehicle", "billing")).to eq(1)
      expect([records.size, errors, runs.first.state]).to eq([2, ["[#{bad.id}]"], "failed"])
    ensure
      ActiveSupport::Notifications.unsubscribe(subscriber)
    end

    it "publishes nothing with DRY_RUN, and remembers no run" do
      create_vehicles(3)
      expect(backfill("Vehicle", "billing", DRY_RUN: "1")).to eq(0)
      expect(out.string).to include("dry run  succeeded  3 rows  0 failed")
      expect([records, runs]).to eq([[], []])
    end

    it "prints JSON when asked" do
      create_vehicles(3)
      backfill("Vehicle", "billing", FORMAT: "json")
      last = JSON.parse(out.string.lines.last)
      expect(last).to include("model" => "Vehicle", "destinations" => ["billing"], "state" => "succeeded", "done" => 3, "total" => 3)
    end

    it "holds a rate" do
      create_vehicles(6)
      begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
      backfill("Vehicle", "billing", BATCH: "2", RATE: "6")
      expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun).to be >= 1
    end

    {
      ["Vehicel"] => /"Vehicel" is not a replicated model \(did you mean Vehicle\?\)/,
      %w[Vehicle biling] => /Vehicle has no destination biling \(did you mean billing\?\)/,
      [] => /name a model/
    }.each do |arguments, message|
      it "says what is wrong with #{arguments.inspect}" do
        expect { expect(backfill(*arguments)).to eq(1) }.to output(message).to_stderr
      end
    end

    {RATE: "fast", BATCH: "0", FENCE_TIMEOUT: "5", SCOPE: "nowhere", DRY_RUN: "maybe"}.each do |name, value|
      it "refuses #{name}=#{value}" do
        expect { expect(backfill("Vehicle", "billing", name => value)).to eq(1) }.to output(/#{value}/).to_stderr
      end
    end

    describe "a run that was cut short" do
      # Killed in the middle: the row it cannot get past stops the process, which is then killed.
      def begin_and_kill
        process = OwnProcess.start(@database, <<~RUBY)
          require "replicates_to/command"
          count = 0
          Vehicle.computing = lambda do |_|
            if (count += 1) > 15
              puts "stuck"
              sleep
            end
            "fine"
          end
          ReplicatesTo::Command.backfill(%w[Vehicle billing], env: {"BATCH" => "5"})
        RUBY
        process.await("stuck")
        process.kill("KILL")
      end

      def expire_lease
        ActiveRecord::Base.connection.execute("update replicates_to_run_ranges set lease_until = null")
      end

      it "is continued by the same line, behind the rows that Kafka had acknowledged, with its fence" do
        vehicles = create_vehicles(20)
        begin_and_kill
        cut = runs.first
        expire_lease
        expect(backfill("Vehicle", "billing")).to eq(0)
        expect(runs.map { |run| [run.id, run.state, run.done, run.fence] }).to eq([[cut.id, "succeeded", 20, cut.fence]])
        expect(records.map(&:key).uniq).to match_array(vehicles.map { |row| row.id.to_s })
      end

      it "is shown as interrupted once its lease has run out, and refused to others before" do
        create_vehicles(20)
        begin_and_kill
        expect { expect(backfill("Vehicle", "billing")).to eq(1) }.to output(/run \d+ is running elsewhere/).to_stderr
        expire_lease
        expect(runs.first.state).to eq("interrupted")
      end

      it "is not continued under another mapping" do
        create_vehicles(20)
        begin_and_kill
        expire_lease
        ActiveRecord::Base.connection.execute("update replicates_to_runs set fingerprints = '{\"billing\":\"0000000000000000\"}'")
        expect { expect(backfill("Vehicle", "billing")).to eq(1) }
          .to output(/was begun under mapping 0000000000000000, which is \h{16} now; NEW=1 begins another/).to_stderr
        expect(backfill("Vehicle", "billing", NEW: "1")).to eq(0)
        expect(runs.map(&:state)).to eq(%w[succeeded cancelled])
      end
    end

    it "stops at Ctrl-C with exit code 130, and the same line continues" do
      vehicles = create_vehicles(30)
      process = OwnProcess.start(@database, <<~RUBY)
        require "replicates_to/command"
        count = 0
        Vehicle.computing = ->(_) { (count += 1) > 20 ? (puts("here") || sleep) : "fine" }
        exit ReplicatesTo::Command.backfill(%w[Vehicle billing], env: {"BATCH" => "5"})
      RUBY
      process.await("here")
      status = process.kill("INT")
      expect(status.exitstatus).to eq(130)
      expect(process.output).to match(/run \d+  interrupted  \d+ rows  0 failed  \S+  the same line continues it/)
      expect(backfill("Vehicle", "billing")).to eq(0)
      expect(records.map(&:key).uniq).to match_array(vehicles.map { |row| row.id.to_s })
      expect(runs.size).to eq(1)
    end

    it "reports that Kafka did not take a record, and keeps its cursor" do
      create_vehicles(3)
      Settings.apply(kafka__brokers: "127.0.0.1:1", kafka__properties: {"log_level" => "0", "message.timeout.ms" => "300"})
      refused = /Kafka did not take a record: .*; the same line continues/
      expect { expect(backfill("Vehicle", "billing")).to eq(1) }.to output(refused).to_stderr
      expect(runs.map { |run| [run.state, run.done] }).to eq([["interrupted", 0]])
    end

    it "waits while the producer's queue is half full, and stays alive" do
      create_vehicles(40)
      Settings.apply(queue__records_max: 10)
      Models.topics.each { |name| Topic.new(name).create }
      most = 0
      Vehicle.computing = ->(_) { "fine" }
      producer = ReplicatesTo::Kafka.producer
      allow(producer).to receive(:publish).and_wrap_original do |original, *arguments|
        original.call(*arguments).tap { most = [most, producer.queued_records].max }
      end
      allow(ReplicatesTo::Kafka).to receive(:producer).and_return(producer)
      expect(backfill("Vehicle", "billing")).to eq(0)
      expect(most).to be_between(1, 6)
    end

    if adapter == :postgresql
      describe "its fence" do
        def hold_open(setup = "insert into parts (code) values ('held')")
          connection = PG.connect(@database.config[:url], application_name: "console")
          connection.exec("begin")
          connection.exec(setup)
          yield connection
        ensure
          connection&.close
        end

        it "names the session that holds it up, and gives up after its time" do
          create_vehicles(1)
          hold_open do |connection|
            session = "waiting for pid #{connection.backend_pid} \\(idle in transaction \\S+, app=console\\)"
            expect { expect(backfill("Vehicle", "billing", FENCE_TIMEOUT: "1500ms")).to eq(1) }
              .to output(/FenceTimeout: fence did not pass within 1\.5 s: #{session}/).to_stderr
          end
          expect(out.string).to match(/^fence: waiting for pid/)
          expect(records).to eq([])
        end

        it "passes as soon as the session ends, and covers what it wrote" do
          hold_open("insert into vehicles (plate, counter, created_at, updated_at) values ('held', 0, now(), now())") do |connection|
            run = Thread.new { backfill("Vehicle", "billing") }
            Waiting.until_true { out.string.include?("fence: waiting") }
            connection.exec("commit")
            expect(run.value).to eq(0)
          end
          expect(records.map { |record| record.attributes["registration"] }).to eq(["held"])
        end

        it "refuses to be taken inside a transaction, where it would wait for itself" do
          ActiveRecord::Base.transaction do
            fence = described_class::Fence.on(ActiveRecord::Base.connection, timeout: 1)
            expect { fence.pass { nil } }.to raise_error(ReplicatesTo::Error, /inside a transaction/)
          end
        end
      end
    end
  end
end
