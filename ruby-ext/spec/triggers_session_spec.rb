# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe "disabled and with_origin under triggers" do
  include_context "with a database on", :postgresql
  include_context "without a publisher"

  before(:all) do
    Settings.apply(coverage: "triggers")
    TriggerSet.create
  end

  before { Settings.apply(coverage: "triggers") }

  let(:connection) { ActiveRecord::Base.connection }

  def sql(statement)
    connection.execute(statement)
  end

  # One row more, by SQL; in what follows its code says whether it may be noted.
  def write(code)
    sql("insert into parts (code) values ('#{code}')")
  end

  def codes
    noted.map { |_, code, _| code }
  end

  def disabled(&block)
    ReplicatesTo.disabled(&block)
  end

  def statements(&block)
    heard = []
    subscriber = ->(*, payload) { heard << payload[:sql] unless payload[:name] == "SCHEMA" }
    ActiveSupport::Notifications.subscribed(subscriber, "sql.active_record", &block)
    heard
  end

  # What the next client of a pooler would find.
  def left_behind
    sql("select current_setting('replicates_to.off', true) as off, current_setting('replicates_to.origin', true) as origin").first.values
  end

  describe "notes nothing of" do
    {
      "SQL by hand" => -> { sql("insert into parts (code) values ('a')") },
      "SQL with a comment first" => -> { sql("/* garage:7 */ -- why\n insert into parts (code) values ('a')") },
      "a CTE" => -> { sql("with new as (insert into parts (code) values ('a') returning *) select * from new") },
      "a function that writes" => -> { sql("select write_part('a')") },
      "a block of code" => -> { sql("do $$ begin insert into parts (code) values ('a'); end $$") },
      "create" => -> { Part.create!(code: "a") },
      "update_columns" => -> { Part.find("a0").update_columns(name: "x") },
      "insert_all" => -> { Part.insert_all([{code: "a"}]) },
      "update_all" => -> { Part.update_all(name: "x") },
      "delete_all" => -> { Part.delete_all },
      "TRUNCATE" => -> { sql("truncate parts") }
    }.each do |name, what|
      [false, true].each do |inside|
        it "#{name}, #{inside ? 'inside a transaction' : 'without one'}, and everything of what follows" do
          sql("create or replace function write_part(code text) returns void language sql as 'insert into parts (code) values (code)'")
          disabled { write("a0") }
          inside ? Part.transaction { disabled { instance_exec(&what) } } : disabled { instance_exec(&what) }
          expect(codes).to eq([])
          write("b")
          expect(codes).to eq(%w[b])
        end
      end
    end
  end

  it "leave nothing behind in the session" do
    disabled { write("a") }
    ReplicatesTo.with_origin("crm") { Part.transaction { write("b") } }
    Part.transaction { disabled { write("c") } }
    expect(left_behind).to eq(["", ""])
  end

  it "end and begin within one transaction" do
    Part.transaction do
      write("yes1")
      disabled { write("no1") }
      write("yes2")
      disabled { 2.times { |n| write("no2#{n}") } }
      write("yes3")
    end
    expect(codes).to eq(%w[yes1 yes2 yes3])
  end

  it "may end after the transaction that began inside" do
    ReplicatesTo.disabled do
      Part.transaction { write("no1") }
      write("no2")
    end
    write("yes")
    expect(codes).to eq(%w[yes])
  end

  it "may begin in one transaction and end in the next" do
    connection.begin_transaction
    write("yes1")
    disabled do
      write("no1")
      connection.commit_transaction
      connection.begin_transaction
      write("no2")
    end
    write("yes2")
    connection.commit_transaction
    write("yes3")
    expect(codes).to eq(%w[yes1 yes2 yes3])
  end

  it "may have their savepoints rolled back" do
    Part.transaction do
      disabled do
        write("no1")
        Part.transaction(requires_new: true) do
          write("no2")
          raise ActiveRecord::Rollback
        end
        write("no3")
      end
      write("yes")
    end
    expect(codes).to eq(%w[yes])
  end

  it "may be rolled back themselves" do
    Part.transaction do
      Part.transaction(requires_new: true) do
        disabled { write("no1") }
        raise ActiveRecord::Rollback
      end
      write("yes1")
      Part.transaction(requires_new: true) { disabled { write("no2") } }
      write("yes2")
    end
    expect(codes).to eq(%w[yes1 yes2])
  end

  # The database goes back to what it was told before the savepoint: to note nothing, though the block is over.
  it "may end inside a savepoint that is rolled back later" do
    Part.transaction do
      disabled do
        write("no1")
        connection.begin_transaction(joinable: false)
      end
      write("rolled back")
      connection.rollback_transaction
      write("yes1")
    end
    write("yes2")
    expect(codes).to eq(%w[yes1 yes2])
  end

  ["savepoint here", "SAVEPOINT here;", "/* tag */ savepoint \"here\""].zip(
    ["rollback to here", "ROLLBACK TRANSACTION TO SAVEPOINT here", "rollback to savepoint \"here\""]
  ).each do |set, back|
    it "may have their savepoints made by hand: #{set}, #{back}" do
      Part.transaction do
        disabled do
          write("no1")
          sql(set)
        end
        write("rolled back")
        sql(back)
        write("yes1")
        sql(back)
        write("yes2")
      end
      expect(codes).to eq(%w[yes2])
    end
  end

  it "may have a savepoint that hides another of its name, until it is released" do
    Part.transaction do
      disabled do
        write("no1")
        sql("savepoint here")
      end
      write("rolled back")
      sql("savepoint here")
      sql("release here")
      sql("rollback to here")
      write("yes")
    end
    expect(codes).to eq(%w[yes])
  end

  ["select 1; rollback to hidden", "rollback to hidden"].each do |back|
    it "may have a savepoint that nobody could see: all is told anew after #{back}" do
      Part.transaction do
        disabled do
          write("no")
          sql("select 1; savepoint hidden")
        end
        write("rolled back")
        sql(back)
        write("yes")
      end
      expect(codes).to eq(%w[yes])
    end
  end

  it "survive a BEGIN that begins nothing" do
    Part.transaction do
      disabled do
        write("no")
        sql("set local client_min_messages = error")
        sql("begin")
      end
      write("yes")
    end
    expect(codes).to eq(%w[yes])
  end

  it "fail as the statement does when the transaction has failed, and are right after it" do
    expect do
      Part.transaction do
        disabled do
          write("no")
          expect { sql("select nothing") }.to raise_error(ActiveRecord::StatementInvalid, /nothing/)
        end
        write("neither")
      end
    end.to raise_error(ActiveRecord::StatementInvalid) { |error| expect(error.sql).to include("insert into parts") }
    write("yes")
    expect(codes).to eq(%w[yes])
  end

  it "go on in a transaction whose savepoint has failed" do
    Part.transaction do
      disabled do
        write("no1")
        begin
          Part.transaction(requires_new: true) { sql("select nothing") }
        rescue ActiveRecord::StatementInvalid
          write("no2")
        end
      end
      write("yes")
    end
    expect(codes).to eq(%w[yes])
  end

  it "hold in a transaction by hand" do
    sql("begin")
    disabled { write("no1") }
    write("yes1")
    sql("commit")
    disabled do
      sql("begin")
      write("no2")
      sql("commit")
    end
    write("yes2")
    expect(codes).to eq(%w[yes1 yes2])
  end

  it "hold in a transaction whose isolation is given, which must come first" do
    disabled { Part.transaction(isolation: :serializable) { write("no") } }
    expect(codes).to eq([])
  end

  it "do not keep back what no transaction can hold" do
    disabled { sql("vacuum parts") }
  end

  it "hold around a transaction that is not joinable, as in fixtures" do
    connection.begin_transaction(joinable: false)
    disabled { Part.create!(code: "no") }
    Part.create!(code: "yes")
    inside = codes
    connection.rollback_transaction
    expect(inside).to eq(%w[yes])
  end

  it "are their own thread's alone" do
    disabled do
      Thread.new { ActiveRecord::Base.connection_pool.with_connection { Part.create!(code: "yes") } }.join
      write("no")
    end
    expect(codes).to eq(%w[yes])
  end

  it "are right on a connection that comes back from another thread" do
    connection.pool.release_connection
    used = Thread.new do
      ActiveRecord::Base.connection_pool.with_connection do |other|
        disabled { Part.create!(code: "no") }
        other
      end
    end.value
    expect(ActiveRecord::Base.connection).to equal(used)
    Part.create!(code: "yes")
    expect(codes).to eq(%w[yes])
  end

  it "cost a transaction one statement at each change, and nothing outside" do
    Part.create!(code: "x")
    told = statements do
      Part.transaction do
        disabled { 3.times { |n| write("no#{n}") } }
        2.times { |n| write("yes#{n}") }
      end
    end
    expect(told.grep(/set_config/).size).to eq(2)
    expect(statements { Part.create!(code: "y") }.grep_v(/BEGIN|COMMIT|INSERT INTO "parts"/)).to eq([])
    expect(statements { Part.update_all(name: "y") }.size).to eq(1)
  end

  describe "with_origin" do
    def origins
      rows = connection.select_rows("select primary_key, origin from replicates_to_outbox order by id")
      rows.map { |primary_key, origin| [JSON.parse(primary_key).first, origin] }
    end

    it "names where the changes of its writes came from, and nests" do
      Part.transaction do
        ReplicatesTo.with_origin("crm") do
          write("a")
          ReplicatesTo.with_origin("back-office") { write("b") }
          disabled { write("no") }
          Part.create!(code: "c")
        end
        write("d")
      end
      ReplicatesTo.with_origin("crm") { Part.update_all(name: "x") }
      expect(origins.first(4)).to eq([%w[a crm], %w[b back-office], %w[c crm], ["d", nil]])
      expect(origins.drop(4).map(&:last).uniq).to eq(["crm"])
    end
  end

  it "notes nothing where enabled is false" do
    Settings.apply(coverage: "triggers", enabled: false)
    ReplicatesTo.config
    write("a")
    Part.transaction { Part.create!(code: "b") }
    Part.update_all(name: "x")
    expect(codes).to eq([])
  end

  it "leaves other statements of the session alone when callbacks note the changes" do
    Settings.apply
    heard = statements { disabled { Part.transaction { write("a") } } }
    expect(heard.grep(/set_config/)).to eq([])
  end
end
