# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe "triggers" do
  include_context "with a database on", :postgresql
  include_context "without a publisher"

  before { Settings.apply(coverage: "triggers") }

  def sql(statement)
    ActiveRecord::Base.connection.execute(statement)
  end

  # Rows that were there before, of whom nothing is noted.
  def unnoted(statement)
    together("set local replicates_to.off = 'on'", statement)
  end

  def together(*statements)
    ActiveRecord::Base.transaction { statements.each { |statement| sql(statement) } }
  end

  describe "of a table" do
    before(:all) do
      Settings.apply(coverage: "triggers")
      TriggerSet.create
    end

    before { unnoted("insert into parts (code, name) values ('a', 'Axle'), ('b', 'Bolt')") }

    it "note rows that SQL by hand inserts, updates and deletes" do
      sql("insert into parts (code) values ('c'), ('d')")
      sql("update parts set name = 'x' where code <> 'd'")
      sql("delete from parts where code = 'b'")
      expect(noted).to contain_exactly(%w[Part c create], %w[Part d create], %w[Part a update], %w[Part b update], %w[Part c update],
                                       %w[Part b delete])
    end

    it "note nothing for a statement that finds no row" do
      sql("update parts set name = 'x' where code = 'nobody'")
      sql("delete from parts where code = 'nobody'")
      expect(noted).to eq([])
    end

    it "note what ON CONFLICT inserted as created, and what it updated as updated" do
      sql("insert into parts (code) values ('a'), ('n') on conflict (code) do update set name = 'x'")
      sql("insert into parts (code) values ('a'), ('m') on conflict do nothing")
      expect(noted).to contain_exactly(%w[Part a update], %w[Part n create], %w[Part m create])
    end

    it "note what COPY brings" do
      raw = ActiveRecord::Base.connection.raw_connection
      raw.copy_data("copy parts (code) from stdin") { raw.put_copy_data("k\nl\n") }
      expect(noted).to eq([%w[Part k create], %w[Part l create]])
    end

    it "note what MERGE does" do
      skip "MERGE came with PostgreSQL 15" if ActiveRecord::Base.connection.database_version < 15_00_00
      sql(<<~SQL)
        merge into parts using (values ('a'), ('b'), ('n')) as given (code) on parts.code = given.code
        when matched and parts.code = 'a' then update set name = 'x'
        when matched then delete
        when not matched then insert (code) values (given.code)
      SQL
      expect(noted).to contain_exactly(%w[Part a update], %w[Part b delete], %w[Part n create])
    end

    it "note what the statements of a CTE do" do
      sql("with gone as (delete from parts where code = 'a' returning code) insert into parts (code) select code || '2' from gone")
      expect(noted).to contain_exactly(%w[Part a delete], %w[Part a2 create])
    end

    it "note a changed primary key as one row that is gone and one that came" do
      sql("update parts set code = 'z' where code = 'a'")
      expect(noted).to contain_exactly(%w[Part a update], %w[Part z create])
    end

    it "tell the keys by which others know a row that changes them, or that is gone" do
      unnoted("insert into products (id, sku, region, number, name) values (1, 'a', 'n,w', 1, 'Lamp'), (2, 'b', '5%', 2, 'Desk')")
      sql("update products set name = 'x' where id = 1")
      sql("update products set number = 7 where id = 1")
      sql("update products set id = 3 where id = 1")
      sql("delete from products where id = 2")
      keys = ActiveRecord::Base.connection.select_rows("select primary_key, operation, keys from replicates_to_outbox order by id")
      first, *others = keys.map { |primary_key, operation, texts| [primary_key, operation, texts && JSON.parse(texts)] }
      expect(first).to eq(["[1]", "update", nil])
      expect(others).to contain_exactly(
        ["[1]", "update", {"shop" => "a", "places" => "n%2Cw,1"}], ["[1]", "update", {"shop" => "a", "places" => "n%2Cw,7"}],
        ["[3]", "create", nil], ["[2]", "delete", {"shop" => "b", "places" => "5%25,2"}]
      )
    end

    it "tell them of a row that leaves its class, though they do not change" do
      unnoted("insert into products (id, sku, region, number, type) values (1, 'a', 'n', 1, 'Gadget')")
      sql("update products set type = 'Product' where id = 1")
      keys = ActiveRecord::Base.connection.select_rows("select model, keys from replicates_to_outbox").to_h
      expect(keys.transform_values { |texts| JSON.parse(texts) })
        .to eq("Product" => {"shop" => "a", "places" => "n,1"}, "Gadget" => {"shop" => "a", "places" => "n,1", "outlet" => "a"})
    end

    it "tell apart what only the database calls equal" do
      sql("create extension if not exists citext")
      sql("create table words (word citext primary key)")
      word = stub_const("Word", Class.new(ActiveRecord::Base) { include ReplicatesTo })
      word.replicates_to(:billing)
      TriggerSet.run(ReplicatesTo::Triggers::Definition.new(word).create)
      unnoted("insert into words values ('a')")
      sql("update words set word = 'A'")
      expect(noted).to contain_exactly(%w[Word a update], %w[Word A create])
    ensure
      sql("drop table words")
    end

    it "note keys that move along as what became of each" do
      # From the top, or each would meet the next.
      unnoted("insert into vehicles (id, created_at, updated_at) select n, now(), now() from generate_series(3, 1, -1) n")
      sql("update vehicles set id = id + 1")
      expect(noted).to contain_exactly(["Vehicle", 1, "update"], ["Vehicle", 2, "update"], ["Vehicle", 3, "update"],
                                       ["Vehicle", 4, "create"])
    end

    it "note a row under the class that its type says, and for both when it changes" do
      sql("insert into vehicles (id, type, created_at, updated_at) values (1, null, now(), now()), (2, 'Truck', now(), now())")
      sql("update vehicles set type = 'Truck' where id = 1")
      sql("delete from vehicles where id = 2")
      expect(noted).to contain_exactly(["Vehicle", 1, "create"], ["Truck", 2, "create"], ["Vehicle", 1, "update"], ["Truck", 1, "update"],
                                       ["Truck", 2, "delete"])
    end

    it "note rows that have others published again, once they can have some" do
      sql("insert into authors (id, name, type) values (1, 'Ann', null), (2, 'Bea', 'Novelist')")
      created = noted
      sql("update authors set name = 'x'")
      sql("delete from authors where id = 2")
      expect(created).to contain_exactly(["Author", 1, "fan_out"], ["Novelist", 2, "create"], ["Novelist", 2, "fan_out"])
      expect(noted - created).to contain_exactly(["Novelist", 2, "update"], ["Novelist", 2, "delete"])
      expect(noted.tally).to include(["Author", 1, "fan_out"] => 2, ["Novelist", 2, "fan_out"] => 3)
    end

    it "write keys as Ruby does" do
      keys = ["ü \"quoted\" \\ 'é'", "tab\tand\u0001", "a/b", "\u{1F600}\u2028"]
      keys.each { |key| sql("insert into parts (code) values (#{ActiveRecord::Base.connection.quote(key)})") }
      written = ActiveRecord::Base.connection.select_values("select primary_key from replicates_to_outbox order by id")
      expect(written).to eq(keys.map { |key| ReplicatesTo::PrimaryKey.dump(Part, key) })
    end

    it "note a row that several foreign keys change at once" do
      sql("create table makers (id int primary key)")
      sql("alter table parts add maker_id int references makers on delete set null, add owner_id int references makers on delete set null")
      unnoted("insert into makers values (1), (2); update parts set maker_id = 1, owner_id = 2")
      sql("delete from makers")
      expect(noted.uniq).to contain_exactly(%w[Part a update], %w[Part b update])
    ensure
      sql("alter table parts drop maker_id, drop owner_id; drop table makers")
    end

    it "note what cascades from a table that is not replicated" do
      sql("create table makers (id int primary key)")
      sql("alter table parts add maker_id int references makers on delete cascade on update cascade")
      unnoted("insert into makers values (1), (2); update parts set maker_id = case code when 'a' then 1 else 2 end")
      sql("update makers set id = 3 where id = 1")
      sql("delete from makers where id = 2")
      expect(noted).to eq([%w[Part a update], %w[Part b delete]])
    ensure
      sql("alter table parts drop maker_id; drop table makers")
    end

    it "draw the ids while the rows are locked" do
      other = PG.connect(@database.config[:url])
      sql("begin; update parts set name = 'x' where code = 'a'")
      other.send_query("update parts set name = 'y' where code = 'a'")
      Waiting.until_true { sql(Locks.awaited("transactionid", "tuple")).ntuples.positive? }
      sql("commit")
      other.get_last_result
      versions = sql("select xmin::text::bigint as writer from replicates_to_outbox order by id").map { |row| row["writer"] }
      expect(versions.size).to eq(2)
      expect(versions.last).to eq(sql("select xmin::text::bigint as writer from parts where code = 'a'").first["writer"])
    ensure
      other&.close
    end

    it "refuse TRUNCATE, and say what to do" do
      expect { sql("truncate parts") }.to raise_error(ActiveRecord::StatementInvalid, /TRUNCATE of parts .*cannot note.*DELETE is noted/m)
      unnoted("truncate parts")
      expect(noted).to eq([])
      expect(Part.count).to eq(0)
    end

    it "roll back with their statement" do
      sql("begin; update parts set name = 'x'; rollback")
      expect(noted).to eq([])
    end

    it "carry the origin that the transaction names" do
      together("set local replicates_to.origin = 'crm'", "update parts set name = 'x' where code = 'a'")
      sql("update parts set name = 'x' where code = 'b'")
      expect(sql("select origin from replicates_to_outbox order by id").map { |row| row["origin"] }).to eq(["crm", nil])
    end

    it "note nothing of what is only applied: a replicated or restored row was noted where it was written" do
      together("set local session_replication_role = replica", "update parts set name = 'x'")
      expect(noted).to eq([])
    end

    it "note for whoever may write the table, whether or not they may write the outbox, and whatever they put in its way" do
      sql("create role clerk_#{Process.pid}; grant select, update on parts to clerk_#{Process.pid}")
      together("set local role clerk_#{Process.pid}", "create temporary table replicates_to_outbox (id int) on commit drop",
               "set local search_path = pg_temp", "update public.parts set name = 'x'")
      expect(noted).to contain_exactly(%w[Part a update], %w[Part b update])
    ensure
      sql("drop owned by clerk_#{Process.pid}; drop role clerk_#{Process.pid}")
    end

    it "are made again by their SQL, and taken away" do
      TriggerSet.create
      sql("update parts set name = 'x' where code = 'a'")
      TriggerSet.drop
      sql("update parts set name = 'y' where code = 'a'")
      expect(noted).to eq([%w[Part a update]])
      expect { Part.find("a").update!(name: "z") }
        .to raise_error(ReplicatesTo::ConfigurationError, "parts has no triggers that note its changes: " \
                                                          "run rails g replicates_to:triggers Part --again, then rails db:migrate " \
                                                          "(schema.rb keeps no triggers, structure.sql does)")
    ensure
      TriggerSet.create
    end
  end

  it "of tables with long names have names of their own" do
    long = ["a" * 60, "#{'a' * 60}b"].map do |table|
      sql("create table #{table} (id int primary key)")
      ReplicatesTo::Triggers::Definition.new(Class.new(Part) { self.table_name = table; self.primary_key = "id" })
    end
    expect(long.map(&:function_name).uniq.size).to eq(2)
    expect(long.map { |one| one.function_name.bytesize }).to eq([63, 63])
  ensure
    sql("drop table #{'a' * 60}, #{'a' * 60}b")
  end

  [true, false].each do |partitioned|
    describe "of a table with #{partitioned ? 'partitions' : 'tables that inherit from it'}" do
      let(:gear) do
        stub_const("Gear", Class.new(ActiveRecord::Base) do
          self.primary_key = "id"
          include ReplicatesTo
        end)
      end

      before do
        sql("create table gears (id int, side text, name text)#{' partition by list (side)' if partitioned}")
        %w[left right].each do |side|
          sql("create table #{side}_gears #{partitioned ? "partition of gears for values in ('#{side}')" : '() inherits (gears)'}")
        end
        gear.replicates_to(:billing)
        @definition = ReplicatesTo::Triggers::Definition.new(gear)
        sql(@definition.create)
        unnoted("insert into left_gears values (1, 'left', 'a')")
      end

      after { sql("drop table gears cascade") }

      it "note what is written to the table and what is written to one of them" do
        sql("update gears set name = 'x'")
        sql("update left_gears set name = 'y'")
        sql("insert into right_gears values (2, 'right', 'b')")
        sql("delete from gears where id = 2")
        expect(noted).to eq([["Gear", 1, "update"], ["Gear", 1, "update"], ["Gear", 2, "create"], ["Gear", 2, "delete"]])
      end

      it "are taken away everywhere" do
        sql(@definition.drop)
        sql("update left_gears set name = 'y'")
        expect(noted).to eq([])
      end

      it "note a row that moves from one to another as changed", if: partitioned do
        sql("update gears set side = 'right'")
        expect(noted).to eq([["Gear", 1, "update"]])
      end

      it "refuse TRUNCATE of one" do
        expect { sql("truncate left_gears") }.to raise_error(ActiveRecord::StatementInvalid, /TRUNCATE of left_gears/)
      end
    end
  end
end
