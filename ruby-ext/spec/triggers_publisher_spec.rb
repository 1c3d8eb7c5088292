# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/memory"

RSpec.describe "publishing what triggers noted" do
  include_context "with a database on", :postgresql

  before(:all) do
    Settings.apply(coverage: "triggers")
    TriggerSet.create
  end

  before { Settings.apply(coverage: "triggers") }

  def sql(statement)
    ActiveRecord::Base.connection.execute(statement)
  end

  def insert(plate, count = 1)
    "insert into vehicles (plate, created_at, updated_at) select '#{plate}', now(), now() from generate_series(1, #{count})"
  end

  def plates
    published.map { |record| record.attributes["registration"] }
  end

  # Nobody sweeps here: what arrives, the commit has led to.
  context "with Kafka" do
    include_context "with Kafka"
    before { Topic.new(ReplicatesTo.mapping(Vehicle, :billing).topic).create }

    {
      "a save" => -> { Vehicle.create!(plate: "a") },
      "a bulk write without a transaction" => -> { Vehicle.insert_all([{plate: "a", created_at: Time.now, updated_at: Time.now}]) },
      "SQL by hand without a transaction" => -> { sql(insert("a")) },
      "SQL by hand in a transaction" => -> { Vehicle.transaction { sql(insert("a")) } },
      "a CTE" => -> { sql("with given as (#{insert('a')}) select 1") },
      "a savepoint that is released" => -> { Vehicle.transaction { Vehicle.transaction(requires_new: true) { sql(insert("a")) } } }
    }.each do |name, write|
      it "follows the commit of #{name}" do
        instance_exec(&write)
        expect(plates).to eq(%w[a])
        expect(noted).to eq([])
      end
    end

    it "follows an update and a delete" do
      vehicle = Vehicle.create!(plate: "a")
      sql("update vehicles set plate = 'b'")
      vehicle.destroy!
      expect(published.max_by(&:version).operation).to eq("delete")
    end

    it "finds rows of a transaction that drew their ids long before it committed" do
      drawn, commit = Queue.new, Queue.new
      late = Thread.new do
        ActiveRecord::Base.connection_pool.with_connection do |connection|
          connection.transaction do
            connection.execute(insert("late"))
            drawn << true
            commit.pop
          end
        end
      end
      drawn.pop
      3.times { |n| Vehicle.create!(plate: "early#{n}").then { plates } }
      commit << true
      late.join
      expect(plates).to contain_exactly("early0", "early1", "early2", "late")
    end

    it "makes one record of what a transaction did to a row, and two of what two did" do
      vehicle = Vehicle.transaction do
        Vehicle.create!(plate: "a").tap do |row|
          row.update!(plate: "b")
          Vehicle.transaction(requires_new: true) { sql("update vehicles set plate = 'c'") }
        end
      end
      created = published
      2.times { |n| vehicle.update!(plate: "d#{n}").then { plates } }
      expect(created.map { |record| [record.operation, record.attributes["registration"]] }).to eq([%w[create c]])
      expect(published.size).to eq(3)
      expect(noted).to eq([])
    end

    it "marks all rows that a record stood for when it cannot be made" do
      Vehicle.computing = ->(_) { raise "no" }
      Vehicle.transaction { Vehicle.create!(plate: "a").update!(plate: "b") }
      expect(ReplicatesTo.flush(timeout: 20)).to be(false)
      errors = ActiveRecord::Base.connection.select_rows("select error, attempts from replicates_to_outbox")
      expect(errors).to eq([["no", 1]] * 2)
    ensure
      Vehicle.computing = nil
    end

    it "takes all rows of a large transaction, batch after batch" do
      sql(insert("many", 1_200))
      expect(plates.size).to eq(1_200)
      expect(noted).to eq([])
    end

    it "leaves alone what another process has taken" do
      sql(insert("taken"))
      Waiting.until_true { noted.empty? }
      allow(ReplicatesTo).to receive(:publisher).and_return(instance_double(ReplicatesTo::Publisher, horizon: 0, committed: nil))
      sql(insert("mine"))
      sql(insert("theirs"))
      sql("update replicates_to_outbox set next_at = now() + interval '1 minute' where id = (select max(id) from replicates_to_outbox)")
      allow(ReplicatesTo).to receive(:publisher).and_call_original
      sql(insert("new"))
      expect(plates).to contain_exactly("taken", "mine", "new")
      expect(noted.size).to eq(1)
    end

    it "hands over at exit what was committed last" do
      result = OwnProcess.run(@database, <<~RUBY, coverage: "triggers")
        ReplicatesTo.config # which a Rails application reads when it boots
        ActiveRecord::Base.connection.execute(#{insert('last', 700).inspect})
      RUBY
      expect(result.status).to be_success, result.error
      expect(topic(Vehicle, :billing).records.size).to eq(700)
      expect(noted).to eq([])
    end
  end

  context "with transport: memory" do
    include_context "in memory", transactional: false, coverage: "triggers"

    def kept(&block)
      ReplicatesTo::Testing.during(&block).first.map { |record| record.attributes["registration"] }
    end

    it "happens inside the commit, or with the statement where there is none" do
      expect(kept { Vehicle.create!(plate: "a") }).to eq(%w[a])
      expect(kept { Vehicle.transaction { sql(insert("b")) } }).to eq(%w[b])
      expect(kept { sql(insert("c")) }).to eq(%w[c])
      expect(kept { Vehicle.where(plate: "c").update_all(plate: "d") }).to eq(%w[d])
      expect(noted).to eq([])
    end

    it "follows the dependants of an owner once, however often a transaction writes it" do
      author = Author.create!(name: "Ann")
      2.times { |n| author.books.create!(title: "B#{n}") }
      books = ReplicatesTo::Testing.during do
        Author.transaction { 5.times { |n| sql("update authors set name = 'A#{n}'") } }
      end.first
      expect(books.map(&:key)).to match_array(Book.ids.map(&:to_s))
      expect(noted).to eq([])
    end

    it "happens inside a transaction of fixtures" do
      connection = ActiveRecord::Base.connection
      connection.begin_transaction(joinable: false)
      seen = kept do
        Vehicle.create!(plate: "a")
        sql(insert("b"))
        Vehicle.where(plate: "b").update_all(plate: "c")
      end
      connection.rollback_transaction
      expect(seen).to eq(%w[a b c])
    end

    it "raises what went wrong into the write, as it is" do
      Vehicle.computing = ->(_) { raise ArgumentError, "no owner" }
      expect { Vehicle.create!(plate: "a") }.to raise_error(ArgumentError, "no owner")
      expect { Vehicle.update_all(plate: "b") }.to raise_error(ArgumentError, "no owner")
      expect { sql("update vehicles set plate = 'c'") }.to raise_error(ArgumentError, "no owner")
    end
  end
end
