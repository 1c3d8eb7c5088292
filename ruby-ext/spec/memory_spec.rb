# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/memory"

ADAPTERS.each do |adapter|
  [true, false].each do |transactional|
    RSpec.describe "transport: memory on #{adapter}, #{transactional ? 'inside a test’s transaction' : 'with real commits'}" do
      include_context "with a database on", adapter
      include_context "in memory", transactional: transactional

      def shown(records = published)
        records.map { |record| [record.destination, record.model, record.key, record.operation] }
      end

      # Another class of the same table, for one example only.
      def model_of_vehicles(**options)
        model = Class.new(ActiveRecord::Base) do
          define_singleton_method(:name) { "Wagon" }
          self.table_name = "vehicles"
          self.inheritance_column = nil
          include ReplicatesTo
          belongs_to :owner
          replicates_to :billing, only: %i[plate], **options
        end
        stub_const("Wagon", model)
      end

      it "publishes create, update and delete as they commit, and empties the outbox" do
        vehicle = Vehicle.create!(plate: "KA-1", vin: "1")
        vehicle.update!(plate: "KA-2")
        vehicle.destroy!
        key = vehicle.id.to_s
        expect(shown).to eq(%w[create update delete].map { |operation| ["billing", "Vehicle", key, operation] })
        expect(published.map { |record| record.attributes["registration"] }).to eq(["KA-1", "KA-2", nil])
        expect(published.map(&:version)).to eq(published.map(&:version).sort.uniq)
        expect(noted).to eq([])
      end

      it "publishes nothing before the commit, and nothing of what is rolled back" do
        Vehicle.transaction do
          Vehicle.create!(plate: "KA-1")
          Vehicle.transaction(requires_new: true) do
            Vehicle.create!(plate: "KA-2")
            raise ActiveRecord::Rollback
          end
          expect(published).to eq([])
        end
        Vehicle.transaction do
          Vehicle.create!(plate: "KA-3")
          raise ActiveRecord::Rollback
        end
        expect(published.map { |record| record.attributes["registration"] }).to eq(["KA-1"])
      end

      it "publishes bulk writes, all rows of them" do
        Vehicle.insert_all!(Array.new(1_200) { |n| {plate: "KA-#{n}", created_at: Time.now, updated_at: Time.now} })
        ReplicatesTo::Testing.clear
        Vehicle.update_all(counter: 7)
        expect(published.size).to eq(1_200)
        expect(published.map { |record| [record.operation, record.attributes["counter"]] }.uniq).to eq([["update", 7]])
        expect(noted).to eq([])
      end

      it "publishes on demand" do
        vehicle = ReplicatesTo.disabled { Vehicle.create!(plate: "KA-1") }
        vehicle.replicate!
        expect(shown).to eq([["billing", "Vehicle", vehicle.id.to_s, "update"]])
      end

      it "publishes what an after_commit callback writes" do
        owner = ReplicatesTo.disabled { Owner.create!(name: "Ann") }
        Vehicle.after_the_commit = ->(_) { owner.update!(name: "Bea") }
        Vehicle.create!(plate: "KA-1")
        expect(shown.map { |shown| shown[1] }).to eq(%w[Vehicle Owner])
      end

      it "has published when the application's after_commit callbacks run" do
        seen = nil
        Vehicle.after_the_commit = ->(_) { seen = published.size }
        Vehicle.create!(plate: "KA-1")
        expect(seen).to eq(1)
      end

      it "spares the destination that a change came from" do
        ReplicatesTo.with_origin("freight") { Truck.create!(plate: "KA-1") }
        expect(published.map { |record| [record.destination, record.origin] }).to eq([%w[billing freight]])
      end

      it "reads in a neutral context: default locale and zone, nothing of a request, and what a test set is as it was" do
        current = stub_const("Current", Class.new(ActiveSupport::CurrentAttributes) { attribute :user })
        seen = nil
        Vehicle.computing = ->(_) { (seen = [I18n.locale, Time.zone, current.user]).last }
        I18n.available_locales = %i[en de]
        current.set(user: "Ann") do
          I18n.with_locale(:de) { Time.use_zone("Tokyo") { Vehicle.create!(plate: "KA-1") } }
          expect(current.user).to eq("Ann")
        end
        expect(seen).to eq([I18n.default_locale, nil, nil])
      end

      describe "what cannot be published" do
        it "raises the error of a compute into the write, and keeps its row with the error" do
          Vehicle.computing = ->(_) { raise "no name" }
          expect { Vehicle.create!(plate: "KA-1") }.to raise_error(RuntimeError, "no name")
          expect { Vehicle.update_all(counter: 7) }.to raise_error(RuntimeError, "no name")
          expect(published).to eq([])
          expect(Vehicle.pluck(:counter)).to eq([7])
          errors = ActiveRecord::Base.connection.select_values("select error from replicates_to_outbox")
          expect(errors).to eq(["no name"] * 2)
        end

        it "raises an EncodeError of a value, and of a record that is too large" do
          Vehicle.computing = ->(_) { "\xff" }
          expect { Vehicle.create!(plate: "KA-1") }.to raise_error(ReplicatesTo::EncodeError, /owner_name/)
          Vehicle.computing = ->(_) { "x" * 2_000_000 }
          expect { Vehicle.create!(plate: "KA-2") }.to raise_error(ReplicatesTo::EncodeError, "record is larger than 1000000 bytes")
        end

        it "raises a MappingError" do
          allow(Vehicle).to receive(:replicates_to_mapping).and_raise(ReplicatesTo::MappingError, "Vehicle: no")
          expect { Vehicle.create!(plate: "KA-1") }.to raise_error(ReplicatesTo::MappingError, "Vehicle: no")
        end

        it "raises what the database says to a compute, and leaves the connection usable" do
          Vehicle.computing = ->(row) { row.class.connection.select_value("select * from nowhere") }
          expect { Vehicle.create!(plate: "KA-1") }.to raise_error(ActiveRecord::StatementInvalid, /nowhere/)
          Vehicle.computing = nil
          Vehicle.create!(plate: "KA-2")
          expect(published.map { |record| record.attributes["registration"] }).to eq(["KA-2"])
        end

        it "publishes the other rows, and lets every after_commit callback run first" do
          ran = []
          Vehicle.computing = ->(row) { row.plate == "KA-1" ? raise("no name") : "Ann" }
          Vehicle.after_the_commit = ->(row) { ran << row.plate }
          expect { Vehicle.transaction { %w[KA-1 KA-2].each { |plate| Vehicle.create!(plate: plate) } } }.to raise_error("no name")
          expect(published.map { |record| record.attributes["registration"] }).to eq(["KA-2"])
          expect(ran).to eq(%w[KA-1 KA-2])
        end

        it "is told to error.replicates_to as well" do
          events = []
          Vehicle.computing = ->(_) { raise "no name" }
          ActiveSupport::Notifications.subscribed(->(*, payload) { events << payload }, "error.replicates_to") do
            expect { Vehicle.create!(plate: "KA-1") }.to raise_error("no name")
          end
          expect(events.map { |event| event.slice(:kind, :model, :destination) })
            .to eq([{kind: :callback, model: "Vehicle", destination: :billing}])
        end

        it "does not hide what an after_commit callback raises" do
          Vehicle.computing = ->(_) { raise "no name" }
          Vehicle.after_the_commit = ->(_) { raise "callback" }
          expect { Vehicle.create!(plate: "KA-1") }.to raise_error("callback")
        end
      end

      describe "rows that computes read" do
        let(:owner) { ReplicatesTo.disabled { Owner.create!(name: "Ann") } }

        it "have the associations that includes: names" do
          Vehicle.create!(plate: "KA-1", owner: owner)
          expect(published(model: Vehicle).last.attributes["owner_name"]).to eq("Ann")
        end

        it "raise where a compute reads another" do
          wagon = model_of_vehicles(compute: {owner: ->(row) { row.owner.name }})
          expect { wagon.create!(plate: "KA-1", owner: owner) }.to raise_error(ActiveRecord::StrictLoadingViolationError, /:owner/)
        end

        it "raise where a compute reads on from a preloaded row, unless includes: goes that far" do
          plates = ->(row) { row.owner.vehicles.map(&:plate).join }
          wagon = model_of_vehicles(compute: {plates: plates}, includes: :owner)
          expect { wagon.create!(plate: "KA-1", owner: owner) }.to raise_error(ActiveRecord::StrictLoadingViolationError, /:vehicles/)
          wagon = model_of_vehicles(compute: {plates: plates}, includes: {owner: :vehicles})
          wagon.create!(plate: "KA-2", owner: owner)
          expect(published(model: "Wagon").last.attributes["plates"]).to eq("KA-1KA-2")
        end

        it "raise where a condition reads another" do
          wagon = model_of_vehicles(if: ->(row) { row.owner.name })
          expect { wagon.create!(plate: "KA-1", owner: owner) }.to raise_error(ActiveRecord::StrictLoadingViolationError, /:owner/)
        end
      end

      if adapter == :postgresql && transactional
        it "leaves row security as the test's transaction had it" do
          connection = ActiveRecord::Base.connection
          Vehicle.create!(plate: "KA-1")
          expect(connection.select_value("show row_security")).to eq("on")
          connection.execute("set local row_security = off")
          Vehicle.create!(plate: "KA-2")
          expect(connection.select_value("show row_security")).to eq("off")
        end
      end

      it "has no thread, and nothing to wait for" do
        threads = Thread.list
        Vehicle.create!(plate: "KA-1")
        expect(Thread.list - threads).to eq([])
        expect([ReplicatesTo.flush(timeout: 0), ReplicatesTo.close(timeout: 0)]).to eq([true, true])
        expect(ReplicatesTo.status).to eq(queued_records: 0, queued_bytes: 0, acknowledged: 1, failed: 0, outbox_rows: 0,
                                          outbox_failing: 0, oldest_outbox_seconds: nil)
      end
    end
  end

  RSpec.describe "the commands with transport: memory, on #{adapter}" do
    include_context "with a database on", adapter
    include_context "in memory", transactional: false, kafka__brokers: "127.0.0.1:1",
                                 kafka__properties: {"message.timeout.ms" => "1000", "log_level" => "0"}

    let(:out) { StringIO.new }

    it "check says so, and does not ask Kafka" do
      expect(ReplicatesTo::Command.check(out: out, env: {})).to eq(0)
      lines = out.string.lines.map(&:chomp)
      expect(lines).to include("ok    config              source monolith, transport memory",
                               "warn  config              transport is memory: records stay in their process, and nothing reaches Kafka")
      expect(lines.grep(/Kafka|topic/).size).to eq(1)
    end

    it "backfill is refused, because its records would end with the process; a rehearsal is not" do
      ReplicatesTo.disabled { Vehicle.create!(plate: "KA-1") }
      message = "ConfigurationError: a backfill publishes to Kafka, and transport is memory; DRY_RUN=1 reads and encodes every row\n"
      expect { expect(ReplicatesTo::Command.backfill(%w[Vehicle], out: out, env: {})).to eq(1) }.to output(message).to_stderr
      expect(ReplicatesTo::Command.backfill(%w[Vehicle], out: out, env: {"DRY_RUN" => "1"})).to eq(0)
    end

    it "sweep is refused" do
      expect { expect(ReplicatesTo::Command.sweep(out: out, env: {"ONCE" => "1"})).to eq(1) }
        .to output("ConfigurationError: a sweep publishes to Kafka, and transport is memory\n").to_stderr
    end

    it "status is that of the outbox" do
      expect(ReplicatesTo::Command.status(out: out, env: {})).to eq(0)
      expect(out.string).to eq("outbox  0 rows, 0 cannot be published\n")
    end
  end
end

RSpec.describe "transport: memory" do
  include_context "with a database on", :sqlite
  include_context "in memory", queue__records_max: 3

  it "keeps as many records as the producer's queue would, and says when older ones had to make room" do
    3.times { |n| Vehicle.create!(plate: "KA-#{n}") }
    expect(published.size).to eq(3)
    Vehicle.create!(plate: "KA-4")
    expect { published }.to raise_error(ReplicatesTo::Error, /\A1 records had to make room/)
    ReplicatesTo::Testing.clear
    expect(published).to eq([])
  end

  it "keeps as many bytes" do
    Settings.apply(transport: "memory", queue__bytes_max: 1_000)
    Vehicle.create!(plate: "x" * 2_000)
    expect { published }.to raise_error(ReplicatesTo::Error, /\A1 records had to make room/)
  end

  it "is not looked at where records go to Kafka, or nowhere" do
    Settings.apply
    expect { published }.to raise_error(ReplicatesTo::ConfigurationError, /needs transport: memory/)
    Settings.apply(transport: "memory", enabled: false)
    expect { published }.to raise_error(ReplicatesTo::ConfigurationError, /enabled: true/)
  end
end

RSpec.describe "transport: memory on a database in memory" do
  it "sees its rows" do
    formerly = ActiveRecord::Base.connection_db_config if ActiveRecord::Base.connected?
    ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ":memory:")
    Models.create_tables
    Settings.apply(transport: "memory")
    ReplicatesTo::Outbox::Statements.verified.clear
    ReplicatesTo.instance_variable_set(:@publisher, nil)
    Vehicle.create!(plate: "KA-1")
    expect(ReplicatesTo::Testing.records.map(&:key)).to eq(["1"])
    expect(ReplicatesTo::Command.check(out: StringIO.new, env: {})).to eq(0)
  ensure
    ReplicatesTo.instance_variable_set(:@publisher, nil)
    formerly ? ActiveRecord::Base.establish_connection(formerly) : ActiveRecord::Base.remove_connection
  end
end
