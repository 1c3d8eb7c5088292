# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/memory"

# A model lives where its class says, and so does its outbox.
ADAPTERS.each do |adapter|
  RSpec.describe "an application with two databases (#{adapter})" do
    include_context "with a database on", adapter

    before(:all) do
      @second = Database.create(adapter)
      primary = ActiveRecord::Base.connection_db_config
      ActiveRecord::Base.establish_connection(@second.config)
      Models.create_tables
      ActiveRecord::Base.establish_connection(primary)
      @formerly_configured = ActiveRecord::Base.configurations
      databases = {primary: @database.config, second: @second.config}
      ActiveRecord::Base.configurations = {ActiveRecord::ConnectionHandling::DEFAULT_ENV.call => databases}
    end

    after(:all) do
      ActiveRecord::Base.configurations = @formerly_configured
      @second.drop
    end

    before do
      # What Rails 6.1 sets in every application.
      handlers = {writing: ActiveRecord::Base.default_connection_handler}
      ActiveRecord::Base.connection_handlers = handlers if ActiveRecord.version < Gem::Version.new("7")
      stub_const("SecondRecord", Class.new(ActiveRecord::Base)).class_eval do
        self.abstract_class = true
        connects_to database: {writing: :second}
      end
      stub_const("Van", Class.new(SecondRecord)).class_eval do
        self.table_name = "products"
        self.inheritance_column = nil
        include ReplicatesTo
        replicates_to :billing, only: %i[sku], key: :sku
      end
      second.execute("delete from products")
      second.execute("delete from replicates_to_outbox")
    end

    after { SecondRecord.remove_connection }

    def first
      ActiveRecord::Base.connection
    end

    def second
      SecondRecord.connection
    end

    def create_van(**values)
      Van.create!({sku: "a", region: "north", number: 1}.merge(values))
    end

    def outboxes
      [first, second].map { |connection| connection.select_rows("select model, operation from replicates_to_outbox order by id") }
    end

    describe "notes" do
      include_context "without a publisher"

      it "each row in the database that it lives in" do
        Vehicle.create!(plate: "KA-1")
        create_van
        Van.update_all(name: "x")
        expect(outboxes).to eq([[%w[Vehicle create]], [%w[Van create], %w[Van update]]])
        expect(woken.map(&:first)).to eq(["ActiveRecord::Base", "SecondRecord", "SecondRecord"])
      end

      it "what commits, and not what is rolled back beside it" do
        Vehicle.transaction do
          Vehicle.create!(plate: "KA-1")
          Van.transaction do
            create_van
            raise ActiveRecord::Rollback
          end
          create_van(sku: "b")
        end
        expect(outboxes).to eq([[%w[Vehicle create]], [%w[Van create]]])
        expect(woken.map(&:first)).to contain_exactly("ActiveRecord::Base", "SecondRecord")
      end

      it "former keys of each" do
        create_van.update!(sku: "b")
        expect(second.select_value("select keys from replicates_to_outbox where operation = 'update'")).to eq('{"billing":"a"}')
      end
    end

    describe "publishes" do
      include_context "with Kafka"

      before do
        @baseline = ReplicatesTo::Outbox.on(second).draw_version & ID_MASK
        [Vehicle, Van].each { |model| Topic.new(ReplicatesTo.mapping(model, :billing).topic).create }
      end

      # Versions of the second database are its own.
      def vans
        Topic.baseline = @baseline
        topic(Van, :billing).records
      end

      it "from both, on connections of the publisher's own" do
        Vehicle.create!(plate: "KA-1")
        one, two = create_van, create_van(sku: "b", number: 2)
        Van.transaction do
          one.update!(sku: "tmp")
          two.update!(sku: "a", name: "second")
        end
        two.destroy!
        expect(published(Vehicle).map(&:operation)).to eq(["create"])
        held = vans.group_by(&:key).transform_values { |records| records.max_by(&:version).operation }
        expect(held).to include("a" => "delete", "b" => "delete", "tmp" => "update")
        expect(outboxes).to eq([[], []])
        expect(ReplicatesTo.status).to include(outbox_rows: 0)
      end

      it "from both what a sweep finds" do
        [first, second].zip([note("Vehicle", "[1]", "delete"), note("Van", "[2]", "delete")]).each do |connection, note|
          ReplicatesTo::Outbox.on(connection).insert("monolith", [note])
        end
        expect(ReplicatesTo.status).to include(outbox_rows: 2)
        expect(ReplicatesTo.publisher.sweep(0)).to eq(2)
        expect(published(Vehicle).map(&:key)).to eq(["1"])
        expect(vans.map(&:key)).to eq(["2"])
        expect(outboxes).to eq([[], []])
      end

      it "all rows of a backfill, whose run is remembered beside them" do
        ReplicatesTo.disabled { create_van }
        expect(ReplicatesTo::Command.backfill(%w[Van], out: StringIO.new, env: {})).to eq(0)
        expect(vans.map { |record| [record.key, record.operation] }).to eq([%w[a snapshot]])
        expect([first, second].map { |connection| connection.select_value("select count(*) from replicates_to_runs") }).to eq([0, 1])
      end
    end

    describe "check" do
      def checked
        out = StringIO.new
        ReplicatesTo::Command.check(out: out, env: {})
        out.string.lines.map(&:chomp)
      end

      it "looks at the outbox of each, and says which one" do
        expect(checked.grep(/\Aok +outbox/)).to match([/\Aok    outbox  +replicates_to_outbox/,
                                                       /\Aok    outbox of SecondRecord  replicates_to_outbox/])
        second.execute("alter table replicates_to_outbox rename to elsewhere")
        expect(checked).to include(/\AFAIL  outbox of SecondRecord  table replicates_to_outbox is missing/)
      ensure
        second.execute("alter table elsewhere rename to replicates_to_outbox")
      end

      it "takes a replica for what it is" do
        SecondRecord.connects_to(database: {writing: :second, reading: :primary})
        expect(checked.grep(/shards/)).to eq([])
      ensure
        ActiveRecord::Base.connection_handlers&.delete(:reading) if ActiveRecord.version < Gem::Version.new("7")
      end

      it "refuses horizontal shards" do
        SecondRecord.connects_to(shards: {default: {writing: :second}, other: {writing: :primary}})
        expect(checked).to include(/\AFAIL  Van +lives in the shards default, other, which replicates_to does not support\z/)
      ensure
        SecondRecord.connection_handler.remove_connection_pool("SecondRecord", role: :writing, shard: :other)
      end
    end

    describe "in memory" do
      include_context "in memory", transactional: false

      it "publishes from both" do
        Vehicle.create!(plate: "KA-1")
        create_van.update!(sku: "b")
        expect(published(to: :billing).map { |record| [record.model, record.key, record.operation] })
          .to include(%w[Van a create], %w[Van b update], %w[Van a delete])
        expect(published(model: Vehicle).size).to eq(1)
        expect(outboxes).to eq([[], []])
      end
    end
  end
end
