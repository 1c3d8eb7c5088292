# frozen_string_literal: true

require_relative "spec_helper"

ADAPTERS.each do |adapter|
  RSpec.describe ReplicatesTo::Publisher, "on #{adapter}" do
    include_context "with a database on", adapter
    include_context "with Kafka"

    after { Vehicle.computing = nil }

    before { Models.topics.each { |name| Topic.new(name).create } }

    def keys_and_operations(records)
      records.map { |record| [record.key, record.operation] }
    end

    # Rows older than sweeps leave alone, without waiting.
    def age_outbox
      time = outbox.earlier(60)
      time = ActiveRecord::Base.connection.quote(time) unless time.is_a?(Arel::Nodes::SqlLiteral)
      ActiveRecord::Base.connection.execute("update replicates_to_outbox set created_at = #{time}, next_at = null")
    end

    def errors
      ActiveRecord::Base.connection.select_values("select error from replicates_to_outbox order by id")
    end

    it "publishes create, update and delete, each with its outbox id as version, and empties the outbox" do
      vehicle = Vehicle.create!(plate: "KA-1", vin: "1")
      ReplicatesTo.flush(timeout: 20)
      vehicle.update!(plate: "KA-2")
      ReplicatesTo.flush(timeout: 20)
      vehicle.destroy!
      records = published
      expect(keys_and_operations(records)).to eq([[vehicle.id.to_s, "create"], [vehicle.id.to_s, "update"], [vehicle.id.to_s, "delete"]])
      expect(records.map { |record| record.attributes["registration"] }).to eq(["KA-1", "KA-2", nil])
      expect(records.map(&:version)).to eq(records.map(&:version).sort.uniq)
      expect(records.map { |record| [record.source, record.model] }.uniq).to eq([%w[monolith Vehicle]])
      expect(noted).to eq([])
    end

    it "puts the generation above the id, and the time of the outbox row into committed_at" do
      Settings.apply(generation: 3)
      Models.topics.each { |name| Topic.new(name).create }
      Vehicle.create!(plate: "KA-1")
      record = published.first
      expect(record.version >> 48).to eq(3)
      expect(record.committed_at).to be_within(30).of(Time.now)
    end

    it "reads the row as it is when it is published, not as it was in memory" do
      stale = Vehicle.create!(plate: "KA-1")
      ReplicatesTo.flush(timeout: 20)
      ReplicatesTo.disabled { Vehicle.find(stale.id).update!(vin: "fresh") }
      stale.update!(plate: "KA-2")
      expect(published.last.attributes).to include("registration" => "KA-2", "vin" => "fresh")
    end

    it "publishes a row to every destination, under one version" do
      truck = Truck.create!(plate: "KA-1")
      billing = published(Truck, :billing)
      freight = topic(Truck, :freight).records
      expect(keys_and_operations(billing + freight)).to eq([[truck.id.to_s, "create"]] * 2)
      expect((billing + freight).map(&:version).uniq.size).to eq(1)
      expect([billing, freight].map { |records| records.first.model }).to eq(%w[Vehicle Lorry])
    end

    it "takes a row out of the destinations that its new class does not have" do
      truck = ReplicatesTo.disabled { Truck.create!(plate: "KA-1") }
      truck.becomes!(Vehicle).save!
      expect(published(Truck, :freight).map(&:operation)).to eq(["delete"])
      expect(topic(Vehicle, :billing).records.map { |record| record.operation }.uniq).to eq(["update"])
    end

    it "publishes nothing for a create that its condition leaves out, and a delete for an update" do
      hidden = Vehicle.create!(plate: "KA-1", vin: "secret")
      shown = Vehicle.create!(plate: "KA-2")
      ReplicatesTo.flush(timeout: 20)
      shown.update!(vin: "secret")
      expect(keys_and_operations(published)).to eq([[shown.id.to_s, "create"], [shown.id.to_s, "delete"]])
      expect(hidden).to be_persisted
      expect(noted).to eq([])
    end

    it "publishes the old key of a renamed row as a delete" do
      part = Part.create!(code: "a", name: "Axle")
      ReplicatesTo.flush(timeout: 20)
      part.update!(code: "b")
      records = published(Part).sort_by(&:version)
      expect(keys_and_operations(records)).to eq([%w[a create], %w[a delete], %w[b create]])
    end

    it "leaves alone what it cannot see: a transaction that has not committed" do
      connection = ActiveRecord::Base.connection
      connection.begin_transaction(joinable: false)
      Vehicle.create!(plate: "KA-1")
      expect(ReplicatesTo.flush(timeout: 20)).to be(true) if adapter == :postgresql
      connection.rollback_transaction
      expect(published).to eq([])
    end

    it "reads in a neutral context: default locale and zone, no query cache, preloaded associations" do
      seen = []
      Vehicle.computing = lambda do |row|
        seen << [I18n.locale, Time.zone, row.association(:owner).loaded?, Thread.current.name]
        row.owner.name
      end
      I18n.available_locales = %i[en de]
      I18n.with_locale(:de) { Time.use_zone("Tokyo") { Vehicle.create!(plate: "KA-1", owner: Owner.create!(name: "Ann")) } }
      expect(published.first.attributes["owner_name"]).to eq("Ann")
      expect(seen).to eq([[I18n.default_locale, nil, true, "replicates_to publisher"]])
    end

    it "has connections of its own, so that a pool of one connection is enough" do
      ActiveRecord::Base.establish_connection(@database.config.merge(pool: 1, checkout_timeout: 1))
      Vehicle.create!(plate: "KA-1")
      expect(published.size).to eq(1)
    end

    it "minds no connection of the application that belongs to no class" do
      handler = ActiveRecord::Base.connection_handler
      handler.establish_connection(@database.config, owner_name: "aside")
      Vehicle.create!(plate: "KA-1")
      expect(published.size).to eq(1)
    ensure
      handler.remove_connection_pool("aside")
    end

    it "publishes where SQLite is told how often to try again instead of how long", if: adapter == :sqlite do
      ActiveRecord::Base.establish_connection(@database.config.except(:timeout).merge(retries: 10))
      Vehicle.create!(plate: "KA-1")
      expect(published.size).to eq(1)
    end

    it "marks a row that cannot be encoded, backs it off, and publishes those behind it" do
      bad = Vehicle.create!(plate: "KA-1")
      Vehicle.computing = ->(row) { row.id == bad.id ? Object.new : "fine" }
      bad.update!(plate: "KA-2")
      good = Vehicle.create!(plate: "KA-3")
      expect(ReplicatesTo.flush(timeout: 20)).to be(false)
      expect(topic(Vehicle, :billing).records.map(&:key)).to include(good.id.to_s)
      expect(errors).to all(include("owner_name"))
      waiting = ActiveRecord::Base.connection.select_values("select attempts from replicates_to_outbox where next_at is not null")
      expect(waiting).to all(eq(1))
    end

    it "marks a row whose compute raises, names the destination, and goes on" do
      events = []
      subscriber = ActiveSupport::Notifications.subscribe("error.replicates_to") { |*, payload| events << payload }
      Vehicle.computing = ->(_) { raise "boom" }
      Vehicle.create!(plate: "KA-1")
      Owner.create!(name: "Ann")
      expect(ReplicatesTo.flush(timeout: 20)).to be(false)
      expect(topic(Owner, :billing).records.size).to eq(1)
      expect(errors).to eq(["boom"])
      expect(events.first).to include(kind: :callback, model: "Vehicle", destination: :billing)
    ensure
      ActiveSupport::Notifications.unsubscribe(subscriber)
    end

    it "marks a row whose compute breaks the transaction, and publishes the others of its batch" do
      bad = nil
      Vehicle.computing = ->(row) { row.id == bad.id ? row.class.connection.execute("select nonsense") : "fine" }
      others = Vehicle.transaction do
        bad = Vehicle.create!(plate: "KA-1")
        Array.new(3) { |n| Vehicle.create!(plate: "KA-#{n}") }
      end
      expect(ReplicatesTo.flush(timeout: 20)).to be(false)
      expect(topic(Vehicle, :billing).records.map(&:key)).to match_array(others.map { |row| row.id.to_s })
      expect(errors).to match([/nonsense/])
    end

    it "names a model that is gone" do
      Vehicle.create!(plate: "KA-1")
      ReplicatesTo.flush(timeout: 20)
      outbox.insert("monolith", [note("Gone", "[1]", "update")])
      age_outbox
      ReplicatesTo.publisher.sweep(10)
      Waiting.until_true { errors.compact.any? }
      expect(errors).to eq(["Gone is not a replicated model of this application"])
    end

    it "marks a row whose topic is missing, and publishes it once the topic is there" do
      Settings.renew_prefix
      Settings.apply(kafka__properties: {"linger.ms" => "0", "topic.metadata.propagation.max.ms" => "300", "log_level" => "0"})
      vehicle = Vehicle.create!(plate: "KA-1")
      expect(ReplicatesTo.flush(timeout: 20)).to be(false)
      expect(errors).to match([/unknown topic/i])
      Models.topics.each { |name| Topic.new(name).create }
      Waiting.until_true { age_outbox && ReplicatesTo.publisher.sweep(10) && noted.empty? }
      expect(topic(Vehicle, :billing).records.map(&:key)).to eq([vehicle.id.to_s])
    end

    it "tries a marked row again when its time comes" do
      Vehicle.computing = ->(_) { raise "boom" }
      Vehicle.create!(plate: "KA-1")
      ReplicatesTo.flush(timeout: 20)
      Vehicle.computing = ->(_) { "mended" }
      age_outbox
      ReplicatesTo.publisher.sweep(10)
      expect(published.map { |record| record.attributes["owner_name"] }).to eq(["mended"])
    end

    it "sweeps rows that are older than `after`, and no others" do
      ReplicatesTo.disabled { Vehicle.create!(plate: "KA-1") }
      outbox.insert("monolith", [note("Vehicle", "[#{Vehicle.first.id}]", "update")])
      expect(ReplicatesTo.publisher.sweep(10)).to eq(0)
      age_outbox
      expect(ReplicatesTo.publisher.sweep(10)).to eq(1)
      expect(published.size).to eq(1)
    end

    it "sweeps rows of its own source only" do
      outbox.insert("another", [note("Vehicle", "[1]", "update")])
      age_outbox
      expect(ReplicatesTo.publisher.sweep(10)).to eq(0)
    end

    it "leaves rows that another sweep took to that one" do
      outbox.insert("monolith", [note("Vehicle", "[1]", "update")])
      age_outbox
      expect(outbox.take("monolith", after: 10, floor: 0, limit: 10, lease: 30).size).to eq(1)
      expect(outbox.take("monolith", after: 10, floor: 0, limit: 10, lease: 30)).to be_nil.or eq([])
      expect(ReplicatesTo.publisher.sweep(10)).to eq(0)
    end

    it "leaves a transaction of more than 1,000 rows to the sweep" do
      Vehicle.transaction { 1_001.times { |n| Vehicle.create!(plate: "KA-#{n}") } }
      expect(ReplicatesTo.flush(timeout: 20)).to be(false)
      expect(topic(Vehicle, :billing).records).to eq([])
      age_outbox
      expect(ReplicatesTo.publisher.sweep(10)).to eq(1_000)
      ReplicatesTo.flush(timeout: 20)
      expect(ReplicatesTo.publisher.sweep(10)).to eq(1)
      expect(published.map(&:key).uniq.size).to eq(1_001)
    end

    it "leaves what does not fit the queue to the sweep, and raises nothing" do
      Settings.apply(queue__records_max: 10, kafka__brokers: "127.0.0.1:1", kafka__properties: {"log_level" => "0"})
      Vehicle.transaction { 50.times { |n| Vehicle.create!(plate: "KA-#{n}") } }
      Waiting.until_true { ReplicatesTo.status[:queued_records] == 10 }
      expect(ReplicatesTo.flush(timeout: 0.1)).to be(false)
      expect(noted.size).to eq(50)
      ReplicatesTo.publisher.close(0.1)
    end

    it "lets records wait in the queue in development too, where it would make the topic first" do
      Settings.apply(kafka__brokers: "127.0.0.1:1", kafka__properties: {"log_level" => "0"})
      allow_any_instance_of(ReplicatesTo::Publisher::Topics).to receive(:development?).and_return(true)
      3.times { |n| Vehicle.create!(plate: "KA-#{n}") }
      Waiting.until_true { ReplicatesTo.status[:queued_records] == 3 }
      expect(errors).to eq([nil] * 3)
      ReplicatesTo.publisher.close(0.1)
    end

    it "publishes nothing more after close, and says when something was left" do
      Settings.apply(kafka__brokers: "127.0.0.1:1", kafka__properties: {"log_level" => "0"})
      Vehicle.create!(plate: "KA-1")
      Waiting.until_true { ReplicatesTo.status[:queued_records] == 1 }
      expect(ReplicatesTo.close(timeout: 0.3)).to be(false)
      Vehicle.create!(plate: "KA-2")
      expect(noted.size).to eq(2)
    end

    it "tells what it does" do
      events = []
      told = /\A(publish|acknowledge|sweep)\.replicates_to\z/
      subscriber = ActiveSupport::Notifications.subscribe(told) { |name, *, payload| events << [name, payload] }
      Vehicle.create!(plate: "KA-1")
      published
      publish = events.assoc("publish.replicates_to").last
      expect(publish).to include(model: "Vehicle", destinations: [:billing], records: 1, full: 0)
      expect(publish[:bytes]).to be_positive
      expect(events.filter_map { |name, payload| payload[:deleted] if name == "acknowledge.replicates_to" }.sum).to eq(1)
      expect(ReplicatesTo.status).to include(acknowledged: 1, failed: 0, outbox_rows: 0, outbox_failing: 0, oldest_outbox_seconds: nil)
    ensure
      ActiveSupport::Notifications.unsubscribe(subscriber)
    end

    if adapter == :postgresql
      it "refuses to take a row that row security hides for a deleted one" do
        connection = ActiveRecord::Base.connection
        role = "reader_#{SecureRandom.hex(4)}"
        vehicle = ReplicatesTo.disabled { Vehicle.create!(plate: "KA-1") }
        connection.execute(<<~SQL)
          create role #{role} login; grant all on all tables in schema public to #{role};
          grant all on all sequences in schema public to #{role};
          alter table vehicles enable row level security
        SQL
        url = URI(@database.config[:url]).tap { |uri| uri.user = role }
        ActiveRecord::Base.establish_connection(@database.config.merge(url: url.to_s))
        outbox.insert("monolith", [note("Vehicle", "[#{vehicle.id}]", "update")])
        age_outbox
        ReplicatesTo.publisher.sweep(10)
        Waiting.until_true { errors.compact.any? }
        expect(errors).to match([/row-level security/])
        expect(topic(Vehicle, :billing).records).to eq([])
      ensure
        ReplicatesTo.close
        ActiveRecord::Base.establish_connection(@database.config)
        ActiveRecord::Base.connection.execute("alter table vehicles disable row level security; drop owned by #{role}; drop role #{role}")
      end
    end
  end
end
