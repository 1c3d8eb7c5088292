# frozen_string_literal: true

require_relative "spec_helper"

ADAPTERS.each do |adapter|
  RSpec.describe ReplicatesTo::Publisher, "of fan-outs on #{adapter}" do
    include_context "with a database on", adapter
    include_context "with Kafka"

    before { [Book, Comic, Vehicle].each { |model| Topic.new(ReplicatesTo.mapping(model, :billing).topic).create } }
    after { Author.after_write = Book.computing = nil }

    let(:author) { ReplicatesTo.disabled { Author.create!(name: "Ann") } }

    def books(count)
      ReplicatesTo.disabled { Array.new(count) { |n| Book.create!(title: "B#{n}", author: author) } }
    end

    # The author's name in the latest record of each book.
    def replica
      topic(Book, :billing).records.group_by(&:key).transform_values { |records| records.max_by(&:version).attributes["author"] }
    end

    def replica_of(books, name)
      books.to_h { |book| [book.id.to_s, name] }
    end

    def slices_of(size)
      stub_const("ReplicatesTo::FanOut::Slice::SIZE", size)
      stub_const("ReplicatesTo::Publisher::FanOuts::ROWS", size)
    end

    def sweep
      ActiveRecord::Base.connection.execute("update replicates_to_outbox set next_at = null")
      ReplicatesTo.publisher.sweep(0)
    end

    it "publishes the dependants of an owner again, and empties the outbox" do
      all = books(3)
      author.update!(name: "Bea")
      expect(ReplicatesTo.flush(timeout: 20)).to be(true)
      expect(replica).to eq(replica_of(all, "Bea"))
      expect(noted).to eq([])
    end

    it "publishes dependants of an owner that is gone" do
      all = books(1)
      author.destroy!
      ReplicatesTo.flush(timeout: 20)
      expect(replica).to eq(replica_of(all, nil))
    end

    it "does not publish to where the change came from" do
      books(1)
      ReplicatesTo.with_origin("billing") { author.update!(name: "Bea") }
      ReplicatesTo.flush(timeout: 20)
      expect(replica).to eq({})
      expect(noted).to eq([])
    end

    # Inside the owner's transaction nobody could see it, and nobody would look again.
    it "misses no dependant that is inserted before the owner's transaction commits", if: adapter == :postgresql do
      all = books(1)
      Author.transaction do
        author.update!(name: "Bea")
        Thread.new { ActiveRecord::Base.connection_pool.with_connection { all << Book.create!(title: "late", author: author) } }.join
        Waiting.until_true { replica.key?(all.last.id.to_s) }
        expect(replica).to eq(all.last.id.to_s => "Ann")
      end
      ReplicatesTo.flush(timeout: 20)
      expect(replica).to eq(replica_of(all, "Bea"))
    end

    it "lets what is committed meanwhile go first" do
      slices_of(1)
      all = books(5)
      order = []
      subscriber = ActiveSupport::Notifications.subscribe("publish.replicates_to") { |*, payload| order << payload[:model] }
      Book.computing = lambda do
        Book.computing = nil
        Thread.new { ActiveRecord::Base.connection_pool.with_connection { Vehicle.create!(plate: "KA-1") } }.join
      end
      author.update!(name: "Bea")
      ReplicatesTo.flush(timeout: 20)
      expect(order).to eq(%w[Book Vehicle Book Book Book Book])
      expect(replica).to eq(replica_of(all, "Bea"))
    ensure
      ActiveSupport::Notifications.unsubscribe(subscriber)
    end

    it "is not idle while a fan-out waits for its turn" do
      books(1)
      id = outbox.insert("monolith", [note("Author", "[#{author.id}]", "fan_out")]).first
      kept = ReplicatesTo::Memory::Kept.new
      context = ReplicatesTo::Memory::Context.new(ActiveRecord::Base.connection, "ActiveRecord::Base")
      delivery = ReplicatesTo::Publisher::Delivery.new(producer: ReplicatesTo::Memory::Producer.new(kept), context: context)
      delivery.publish("ActiveRecord::Base", [id])
      expect(delivery).not_to be_idle
      delivery.fan_out while delivery.fan_out_due?
      delivery.settle_reports
      expect(delivery).to be_idle
      expect(kept.added).to eq(1)
    end

    it "marks a fan-out that cannot go on, tells why, and tries again when its time comes" do
      events = []
      subscriber = ActiveSupport::Notifications.subscribe("error.replicates_to") { |*, payload| events << payload }
      all = books(1)
      tomes = :"tomes_on_#{adapter}"
      outbox.insert("monolith", [ReplicatesTo::Note.new(model: "Author", primary_key: "[#{author.id}]", operation: "fan_out",
                                                        keys: {tomes.to_s => nil})])
      sweep
      Waiting.until_true { events.any? }
      expect(events.first).to include(kind: :mapping, model: "Author", primary_key: "[#{author.id}]", destination: nil)
      errors = ActiveRecord::Base.connection.select_values("select error from replicates_to_outbox")
      expect(errors).to match([/\AAuthor: republishes :#{tomes}, which is not an association/])
      Author.has_many tomes, class_name: "Book"
      sweep
      Waiting.until_true { noted.empty? }
      expect(replica).to eq(replica_of(all, "Ann"))
    ensure
      ActiveSupport::Notifications.unsubscribe(subscriber)
    end

    it "notes no more dependants while Kafka does not take them" do
      Settings.apply(queue__records_max: 10, kafka__brokers: "127.0.0.1:1", kafka__properties: {"log_level" => "0"})
      slices_of(2)
      books(30)
      author.update!(name: "Bea")
      Waiting.until_true { ReplicatesTo.status[:queued_records] >= 5 }
      expect(ReplicatesTo.flush(timeout: 0.5)).to be(false)
      expect(noted.size).to be < 10
      ReplicatesTo.publisher.close(0.1)
    end

    it "finishes what it began when the process ends in time" do
      all = books(25)
      result = OwnProcess.run(@database, "Author.first.update!(name: 'Bea')")
      expect(result.status).to be_success, result.error
      expect(replica).to eq(replica_of(all, "Bea"))
      expect(noted).to eq([])
    end

    it "is continued by the next sweep where a killed process stopped" do
      all = books(25)
      process = OwnProcess.start(@database, <<~RUBY)
        ReplicatesTo::FanOut::Slice.send(:remove_const, :SIZE)
        ReplicatesTo::FanOut::Slice::SIZE = 5
        computed = 0
        Book.computing = -> { (computed += 1) > 10 && (puts("in the third slice") || sleep) }
        Author.first.update!(name: "Bea")
        sleep
      RUBY
      process.await("in the third slice")
      process.kill("KILL")
      left = ActiveRecord::Base.connection.select_value("select keys from replicates_to_outbox where operation = 'fan_out'")
      expect(JSON.parse(left)["books"]).to eq("[#{all[14].id}]")
      sweep
      Waiting.until_true { ReplicatesTo.publisher.sweep(0) && noted.empty? }
      expect(replica).to eq(replica_of(all, "Bea"))
    end
  end
end
