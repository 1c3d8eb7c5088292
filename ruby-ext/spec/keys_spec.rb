# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/locks"
require_relative "support/memory"

COVERAGES.each do |adapter, coverage|
  RSpec.describe "keys of rows (#{adapter}, #{coverage})" do
    include_context "with a database on", adapter
    include_context "covered by", coverage

    def create(model = Product, **values)
      ReplicatesTo.disabled { model.create!({sku: "a", region: "north", number: 1, name: "Lamp"}.merge(values)) }
    end

    def connection
      ActiveRecord::Base.connection
    end

    # What the rows of the outbox say about keys: [["Product", "update", {"shop" => "a"}], …]
    def noted_keys
      outbox_rows.map { |row| [row.model, row.operation, row.keys.presence] }
    end

    def statements(&block)
      heard = []
      subscriber = ->(*, payload) { heard << payload[:sql] unless %w[SCHEMA TRANSACTION ReplicatesTo].include?(payload[:name]) }
      ActiveSupport::Notifications.subscribed(subscriber, "sql.active_record", &block)
      heard
    end

    describe "of which a note tells the former ones" do
      include_context "without a publisher"

      let!(:product) { create }
      let(:former) { {"shop" => "a", "places" => "north,1"} }

      it "when an update changes one" do
        product.update!(sku: "b")
        expect(noted_keys).to eq([["Product", "update", former]])
      end

      it "and none when nothing of a key is assigned, for no statement more" do
        plain = statements { product.update!(name: "Light") }
        expect(noted_keys).to eq([["Product", "update", nil]])
        expect(plain.grep_v(/replicates_to_outbox/).size).to eq(1)
      end

      it "as the database has them, not a record that was read long ago" do
        stale = Product.find(product.id)
        ReplicatesTo.disabled { product.update!(sku: "now", number: 7) }
        stale.update!(sku: "b")
        stale.destroy!
        expect(noted_keys.map(&:last)).to eq([{"shop" => "now", "places" => "north,7"}, {"shop" => "b", "places" => "north,7"}])
      end

      it "and of the class that the row has, not the one it was loaded as" do
        stale = Product.find(product.id)
        ReplicatesTo.disabled { product.becomes!(Gadget).save! }
        stale.update!(sku: "b")
        Product.find(product.id).becomes(Product).destroy!
        expect(noted_keys).to eq([["Gadget", "update", former.merge("outlet" => "a")],
                                  ["Gadget", "delete", former.merge("shop" => "b", "outlet" => "b")]])
      end

      it "of the row that is there once its lock is free, though it was another one before",
         if: adapter == :postgresql && coverage == "callbacks" do
        writes = {update: ->(row) { row.update!(sku: "b") }, delete: ->(row) { row.destroy! }}
        writes.each_value do |write|
          Product.unscoped.where(id: product.id).each { |row| ReplicatesTo.disabled { row.update!(sku: "a") } }
          loaded = Product.find(product.id)
          waiting = nil
          ReplicatesTo.disabled do
            Product.transaction do
              connection.execute("delete from products")
              create(id: product.id, sku: "again", number: 3)
              waiting = Thread.new { ActiveRecord::Base.connection_pool.with_connection { write.call(loaded) } }
              Waiting.until_true { connection.select_values(Locks.awaited("transactionid")).any? }
            end
          end
          waiting.join
        end
        expect(noted_keys).to eq([["Product", "update", {"shop" => "again", "places" => "north,3"}],
                                  ["Product", "delete", {"shop" => "again", "places" => "north,3"}]])
      end

      it "past the query cache" do
        Product.cache do
          Product.unscoped.where(id: product.id).pluck(:type, :sku, :region, :number)
          Thread.new { ReplicatesTo.disabled { Product.find(product.id).update!(sku: "elsewhere") } }.join
          product.update!(sku: "b")
        end
        expect(noted_keys.last.last).to include("shop" => "elsewhere")
      end

      it "from before the transaction, however often they change" do
        Product.transaction do
          product.update!(sku: "b")
          Product.find(product.id).update!(sku: "c", region: "south")
          product.destroy!
        end
        expect(noted_keys).to eq([["Product", "delete", former]])
      end

      it "but not of a savepoint that was rolled back" do
        Product.transaction do
          product.update!(name: "Light")
          Product.transaction(requires_new: true) { product.update!(sku: "b") && raise(ActiveRecord::Rollback) }
        end
        expect(noted_keys).to eq([["Product", "update", nil]])
      end

      {
        "destroy" => ->(row) { row.destroy! },
        "delete" => ->(row) { row.delete },
        "delete_all" => ->(_) { Product.delete_all },
        "delete by id" => ->(row) { Product.delete(row.id) }
      }.each do |name, write|
        it "when the row goes by #{name}" do
          write.call(product)
          expect(noted_keys).to eq([["Product", "delete", former]])
        end
      end

      it "when update_columns changes one" do
        product.update_columns(number: 2)
        expect(noted_keys).to eq([["Product", "update", former]])
      end

      it "under the old primary key when that changes" do
        product.update!(id: product.id + 1_000)
        expect(noted_keys).to eq([["Product", "update", former], ["Product", "create", nil]])
      end

      it "of a row that came and went, as it went" do
        Product.transaction do
          create_noted = Product.create!(sku: "x", region: "west", number: 1)
          create_noted.update!(sku: "y")
          create_noted.destroy!
        end
        expect(noted_keys).to eq([["Product", "delete", {"shop" => "y", "places" => "west,1"}]])
      end

      it "by the destinations of each row's own class" do
        create(Gadget, sku: "b", number: 2)
        Product.delete_all
        expect(noted_keys).to contain_exactly(
          ["Product", "delete", former],
          ["Gadget", "delete", {"shop" => "b", "places" => "north,2", "outlet" => "b"}]
        )
      end

      it "when the class changes, though they do not" do
        gadget = create(Gadget, sku: "b", number: 2)
        keys = [["Product", "update", {"shop" => "b", "places" => "north,2"}],
                ["Gadget", "update", {"shop" => "b", "places" => "north,2", "outlet" => "b"}]]
        gadget.becomes!(Product).save!
        expect(noted_keys).to match_array(keys)
        connection.execute("delete from replicates_to_outbox")
        Product.where(id: gadget.id).update_all(type: "Gadget")
        expect(noted_keys).to match_array(keys)
      end

      it "of every class when the class changes too" do
        gadget = create(Gadget, sku: "b", number: 2)
        gadget.becomes!(Product).tap { |changed| changed.sku = "c" }.save!
        expect(noted_keys).to contain_exactly(
          ["Product", "update", {"shop" => "b", "places" => "north,2"}],
          ["Gadget", "update", {"shop" => "b", "places" => "north,2", "outlet" => "b"}]
        )
      end

      it "with separators inside the parts told apart from those between them" do
        rows = [["a,b", 1], ["100%2C", 2], ["ü \"'\\", 3]].map { |region, number| create(sku: region, region: region, number: number) }
        rows.first.destroy!
        Product.where(id: rows.last(2).map(&:id)).delete_all
        expect(noted_keys.map { |_, _, keys| keys["places"] }).to contain_exactly("a%2Cb,1", "100%252C,2", "ü \"'\\,3")
      end
    end

    # Triggers see what a row was called before.
    describe "that a statement would change unnoticed", if: coverage == "callbacks" do
      include_context "without a publisher"

      before { create }

      {
        "update_all of a key" => [-> { Product.update_all(sku: "b") }, "update_all of sku"],
        "update_all of a part of a key, in SQL" => [-> { Product.update_all("name = 'x', number = number + 1") }, "update_all of number"],
        "update_all of a subclass's key" => [-> { Gadget.update_all(sku: "b") }, "update_all of sku"],
        "a counter that is part of a key" => [-> { Product.first.increment!(:number) }, "update_all of number"],
        "upsert_all that assigns a key" =>
          [-> { Product.upsert_all([{id: Product.first.id, sku: "b", region: "x", number: 1}]) }, "upsert_all of sku"],
        "upsert_all that assigns another key than the one it looks for" =>
          [-> { Product.upsert_all([{sku: "a", region: "x", number: 1}], unique_by: :sku) }, "upsert_all of region"]
      }.each do |name, (write, named)|
        it "is refused: #{name}" do
          expect { write.call }.to raise_error(ReplicatesTo::BulkWriteRefused) { |error|
            expect(error.message).to match(/\A(Product|Gadget): #{named} renames rows.* save them one by one, or write inside/)
          }
          expect(connection.select_rows("select sku, region, number, name from products")).to eq([["a", "north", 1, "Lamp"]])
        end
      end

      it "but not an upsert that finds its rows by the only key there is" do
        connection.create_table(:labels, force: true) { |t| t.string(:code, null: false, index: {unique: true}) && t.string(:text) }
        stub_const("Label", Class.new(ActiveRecord::Base)).class_eval do
          include ReplicatesTo
          replicates_to :shop, key: :code
        end
        2.times { |n| Label.upsert_all([{code: "l", text: n.to_s}], unique_by: :code) }
        expect(noted_keys).to eq([["Label", "update", nil]] * 2)
        expect(Label.pluck(:text)).to eq(["1"])
      ensure
        connection.drop_table(:labels)
      end
    end

    describe "in records" do
      include_context "in memory"

      # What a consumer holds of a destination that keeps the record with the highest version of each key.
      def held(destination)
        records = published(to: destination).group_by(&:key).transform_values { |same| same.max_by(&:version) }
        records.transform_values { |record| record.operation == "delete" ? nil : record.attributes }
      end

      def sent(destination)
        published(to: destination).map { |record| [record.key, record.operation] }
      end

      # Publishes rows of the outbox that nobody has published yet.
      def publish
        ids = connection.select_values("select id from replicates_to_outbox order by id")
        ReplicatesTo.publisher.committed(connection, "ActiveRecord::Base", ids) {}
      end

      # What transactions leave behind whose process is killed before it publishes.
      def unpublished
        allow(ReplicatesTo.publisher).to receive(:committed).and_yield
        yield
      ensure
        allow(ReplicatesTo.publisher).to receive(:committed).and_call_original
      end

      it "are the columns that a destination asked for" do
        product = Product.create!(sku: "a", region: "north, by %", number: 1)
        expect(sent(:shop)).to eq([%w[a create]])
        expect(sent(:places)).to eq([["north%2C by %25,1", "create"]])
        expect(sent(:archive)).to eq([[product.id.to_s, "create"]])
      end

      it "are taken from the row as it is when it is published" do
        stale = create
        ReplicatesTo.disabled { Product.find(stale.id).update!(sku: "now") }
        stale.update!(name: "Light")
        expect(sent(:shop)).to eq([%w[now update]])
      end

      it "that change leave a delete under the old one" do
        product = Product.create!(sku: "a", region: "north", number: 1)
        product.update!(sku: "b")
        product.destroy!
        expect(sent(:shop)).to eq([%w[a create], %w[b update], %w[a delete], %w[b delete]])
        expect(sent(:places).uniq).to eq([["north,1", "create"], ["north,1", "update"], ["north,1", "delete"]])
      end

      it "that two rows exchange end with the rows that hold them" do
        first, second = create(sku: "k1", number: 1, name: "A"), create(sku: "k2", number: 2, name: "B")
        Product.transaction do
          first.update!(sku: "tmp")
          second.update!(sku: "k1")
          first.update!(sku: "k2")
        end
        expect(held(:shop)).to eq("k1" => {"sku" => "k1", "name" => "B"}, "k2" => {"sku" => "k2", "name" => "A"})
      end

      it "that go round among three rows of two classes, and are left by a fourth, end with the rows that hold them" do
        rows = [Product, Gadget, Product, Product].each.with_index(1).map { |model, n| create(model, sku: "k#{n}", number: n) }
        Product.transaction do
          rows.each { |row| row.update!(sku: "#{row.sku}'") }
          rows.first(3).zip(%w[k3 k1 k2]) { |row, sku| row.update!(sku: sku, name: sku) }
          rows.last.destroy!
        end
        shown = held(:shop).transform_values { |attributes| attributes&.values_at("name", "region") }
        expect(shown).to eq("k1" => %w[k1 north], "k2" => ["k2", nil], "k3" => ["k3", nil], "k4" => nil)
        expect(held(:outlet)).to eq("k1" => {"name" => "k1"}, "k2" => nil)
      end

      it "that somebody else took before the change was published are theirs" do
        first, second = create(sku: "k1", number: 1, name: "A"), create(sku: "k2", number: 2, name: "B")
        unpublished do
          first.update!(sku: "k3")
          second.update!(sku: "k1")
          second.update!(name: "B2")
        end
        publish
        expect(held(:shop).transform_values { |attributes| attributes&.fetch("name") }).to eq("k1" => "B2", "k2" => nil, "k3" => "A")
      end

      {
        "takes another" => ->(row) { row.update!(sku: "c") },
        "goes" => ->(row) { row.destroy! },
        "goes with others" => ->(_) { Product.delete_all }
      }.each do |name, write|
        it "of a row that left a class are deleted, though it #{name} before anybody published that it left" do
          gadget = create(Gadget, sku: "b")
          unpublished do
            gadget.becomes!(Product).save!
            write.call(Product.find(gadget.id))
          end
          publish
          expect(held(:outlet)["b"]).to be_nil
          expect(sent(:outlet)).to include(%w[b delete])
        end
      end

      it "of a deleted row are its former ones, taken by another in the same transaction or not" do
        first, second = create(sku: "k1", number: 1), create(sku: "k2", number: 2)
        Product.transaction do
          Product.where(id: [first.id, second.id]).delete_all
          Gadget.create!(sku: "k2", region: "west", number: 2, name: "Phone")
        end
        expect(held(:shop)).to eq("k1" => nil, "k2" => {"sku" => "k2", "name" => "Phone", "region" => "west"})
        expect(held(:places)).to eq("north,1" => nil, "north,2" => nil, "west,2" => {"name" => "Phone"})
      end

      it "of a row that is gone without a note are nobody's" do
        product = create(sku: "a")
        outbox.insert("monolith", [note("Product", "[#{product.id}]", "update")])
        ReplicatesTo.disabled { connection.execute("delete from products") }
        publish
        expect(sent(:shop)).to eq([])
        expect(sent(:archive)).to eq([[product.id.to_s, "delete"]])
      end

      it "of a row that a process deleted which knew it by its primary key are that one" do
        outbox.insert("monolith", [note("Product", "[7]", "delete")])
        publish
        expect(sent(:shop)).to eq([%w[7 delete]])
      end

      it "of a row that its condition leaves out are deleted, the one it has and the one it had" do
        product = create(sku: "a")
        product.update!(sku: "b", hidden: true)
        expect(sent(:shop)).to contain_exactly(%w[a delete], %w[b delete])
        product.update!(sku: "c", hidden: false)
        expect(held(:shop)).to eq("a" => nil, "b" => nil, "c" => {"sku" => "c", "name" => "Lamp"})
      end

      it "of a row that two destinations see under different conditions enter and leave each by itself" do
        product = Product.create!(sku: "a", region: "north", number: 1, hidden: true, name: "nowhere")
        product.update!(name: "Lamp")
        product.update!(hidden: false)
        product.update!(name: "nowhere", sku: "b")
        expect(sent(:shop)).to eq([%w[a delete], %w[a update], %w[b update], %w[a delete]])
        expect(sent(:places)).to eq([%w[north,1 update], %w[north,1 update], %w[north,1 delete]])
        expect(sent(:archive).map(&:last)).to eq(%w[create update update update])
      end

      it "of a row held back by its condition are deleted where another row had them" do
        first, second = create(sku: "k1", number: 1), create(sku: "k2", number: 2, hidden: true)
        Product.transaction do
          first.update!(sku: "k3")
          second.update!(sku: "k1")
        end
        expect(held(:shop)).to eq("k1" => nil, "k2" => nil, "k3" => {"sku" => "k3", "name" => "Lamp"})
        expect(sent(:shop).uniq).to contain_exactly(%w[k1 delete], %w[k2 delete], %w[k3 update])
      end

      it "are held by rows of one public name, and not by those of another" do
        create(Gadget, sku: "k1")
        holders = ReplicatesTo::Publisher::Holders.new(Gadget, [ReplicatesTo::Outbox::Row.new(keys: {"outlet" => "k1"})])
        own = ReplicatesTo.mapping(Gadget, :outlet)
        other = instance_double(ReplicatesTo::Mapping, destination: :outlet, public_name: "Toy", key: own.key)
        operations = [own, other].map { |mapping| holders.publication(mapping, "k1").operation }
        expect(operations).to eq(ReplicatesTo::Publisher::OPERATIONS.values_at("update", "delete"))
      end

      it "that no record can have are an error, and were nobody's key before" do
        product = create(sku: "")
        product.update!(sku: "b")
        expect(sent(:shop)).to eq([%w[b update]])
        expect { product.update!(sku: "a\n") }.to raise_error(ReplicatesTo::EncodeError, 'key "a\n" has a control character')
      end

      it "are those of replicate!" do
        create(Gadget, sku: "b", number: 2).replicate!(to: :shop)
        expect(sent(:shop)).to eq([%w[b update]])
      end
    end
  end
end
