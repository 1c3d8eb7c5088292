# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe ReplicatesTo::Key do
  # A class of a table made for the example.
  def model(columns, &body)
    connection.execute("create table samples (#{columns})")
    connection.schema_cache.clear!
    Class.new(ActiveRecord::Base) do
      define_singleton_method(:name) { "Sample" }
      self.table_name = "samples"
      self.inheritance_column = nil
      class_exec(&body) if body
    end
  end

  def connection
    ActiveRecord::Base.connection
  end

  after { connection.execute("drop table if exists samples") if ActiveRecord::Base.connected? }

  # Type, how SQL writes a value, and the text it has in a key.
  texts = {
    postgresql: [
      ["smallint", "-7", "-7"], ["bigint", "9223372036854775807", "9223372036854775807"],
      ["text", "'a,b'", "a,b"], ["varchar(9)", "'ü'", "ü"], ["char(5)", "'ab'", "ab   "], ["citext", "'Ab'", "Ab"],
      ["uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], ["mood", "'so so'", "so so"],
      ["boolean", "true", "true"], ["boolean", "false", "false"], ["bytea", "'\\x00ffa1'", "00ffa1"],
      ["numeric(8,2)", "10.5", "10.50"], ["numeric(8,2)", "-0.5", "-0.50"], ["numeric(8,0)", "10", "10"], ["numeric", "10.500", "10.5"],
      ["numeric", "1e20", "100000000000000000000"], ["numeric", "0.00", "0"],
      ["date", "'2026-11-22'", "2026-11-22"], ["date", "'1500-02-28'", "1500-02-28"], ["date", "'0001-01-01'", "0001-01-01"],
      ["timestamp", "'2026-11-22 06:46:00.123456'", "2026-11-22T06:46:00.123456Z"],
      ["timestamp(0)", "'2026-11-22 06:46:00'", "2026-11-22T06:46:00.000000Z"],
      ["timestamptz", "'2026-11-22 06:46:00.5+02'", "2026-11-22T04:46:00.500000Z"]
    ],
    sqlite: [
      ["integer", "-7", "-7"], ["text", "'a,b'", "a,b"], ["varchar", "'ü'", "ü"], ["boolean", "1", "true"],
      ["blob", "x'00ffa1'", "00ffa1"], ["decimal(8,2)", "10.5", "10.50"], ["decimal", "10", "10"], ["date", "'2026-11-22'", "2026-11-22"],
      ["datetime", "'2026-11-22 06:46:00.123456'", "2026-11-22T06:46:00.123456Z"]
    ]
  }

  texts.each do |adapter, of_types|
    context "with #{adapter}" do
      include_context "with a database on", adapter

      if adapter == :postgresql
        before(:all) { ActiveRecord::Base.connection.execute("create extension citext; create type mood as enum ('so so')") }
      end

      of_types.each do |type, literal, text|
        it "of the #{type} #{literal} is #{text}, and finds its row again" do
          klass = model("id #{type} primary key")
          connection.execute("insert into samples values (#{literal})")
          key = described_class.new(klass, %w[id])
          record = klass.unscoped.first
          expect(key.of(record)).to eq(text)
          json = JSON.generate(key.parts(key.values_of(record)))
          expect(ReplicatesTo::PrimaryKey.key(json)).to eq(text)
          expect(ReplicatesTo::PrimaryKey.dump(klass, ReplicatesTo::PrimaryKey.load(klass, json))).to eq(json)
          expect(key.among(klass.unscoped, [key.values(key.split(text))]).count).to eq(1)
          expect(key.after(klass.unscoped, key.values(JSON.parse(json))).count).to eq(0)
          next unless adapter == :postgresql

          # What the statements of bulk writes and of triggers write.
          in_sql = connection.select_rows("select #{key.sql(&:itself)}, #{key.json_sql(&:itself)} from samples")
          expect(in_sql).to eq([[text, json]])
        end
      end

      it "of several columns is one text and one JSON array, and finds its row again among others" do
        klass = model("a text, b integer, c text, primary key (a, b, c)")
        rows = [["x", 1, "y"], ["x,1", 2, "%2C"], ["\"ü\\", 3, ","], ["x", 1, "z"], ["", 4, ""]]
        rows.each { |a, b, c| connection.execute("insert into samples values (#{connection.quote(a)}, #{b}, #{connection.quote(c)})") }
        key = described_class.new(klass, %w[a b c])
        expect(rows.map { |row| key.text(row) }).to eq(["x,1,y", "x%2C1,2,%252C", "\"ü\\,3,%2C", "x,1,z", ",4,"])
        expect(rows.map { |row| key.values(key.split(key.text(row))) }).to eq(rows)
        some = rows.values_at(0, 1, 2, 4)
        expect(key.among(klass.unscoped, some).map { |row| key.values_of(row) }).to match_array(some)
        ordered = klass.unscoped.order(:a, :b, :c).to_a
        following = ordered.each_cons(2).map { |row, _| key.after(klass.unscoped, key.values_of(row)).order(:a, :b, :c).first }
        expect(following.map { |row| key.values_of(row) }).to eq(ordered.drop(1).map { |row| key.values_of(row) })
        next unless adapter == :postgresql

        in_sql = connection.select_rows("select #{key.sql(&:itself)}, #{key.json_sql(&:itself)} from samples")
        expect(in_sql).to match_array(rows.map { |row| [key.text(row), JSON.generate(row)] })
      end

      it "of several columns of any types finds its rows again" do
        types = of_types.map(&:first).uniq
        columns = types.each_index.map { |n| "c#{n}" }
        klass = model("#{columns.zip(types).map { |pair| "#{pair.join(' ')} not null" }.join(', ')}, other integer")
        literals = types.map { |type| of_types.assoc(type)[1] }.join(", ")
        2.times { |n| connection.execute("insert into samples values (#{literals}, #{n})") }
        key = described_class.new(klass, [*columns, "other"])
        tuples = klass.unscoped.order(:other).map { |record| key.values(key.split(key.of(record))) }
        expect(key.among(klass.unscoped, tuples).count).to eq(2)
        expect(key.after(klass.unscoped, tuples.first).map(&:other)).to eq([1])
      end

      it "finds a thousand rows by several columns at once" do
        klass = model("a integer, b integer, primary key (a, b)")
        connection.execute("insert into samples values #{Array.new(1_100) { |n| "(#{n}, #{n})" }.join(', ')}")
        key = described_class.new(klass, %w[a b])
        tuples = Array.new(1_000) { |n| [n, n] } + [[0, 1_099]]
        expect(key.among(klass.unscoped, tuples).count).to eq(1_000)
      end
    end
  end

  context "that no record can have" do
    include_context "with a database on", :postgresql

    it "is an error: infinity, and years that JSON does not know" do
      klass = model("id date primary key")
      key = described_class.new(klass, %w[id])
      %w[infinity -infinity 0044-03-15\ BC 10000-01-01].each do |date|
        connection.execute("delete from samples; insert into samples values ('#{date}')")
        expect { key.of(klass.unscoped.first) }
          .to raise_error(ReplicatesTo::EncodeError, /is outside the years 1-9999, so it cannot be in a key/)
      end
    end

    {"" => "is empty", "x" * 513 => "is longer than 512 bytes", "a\u0085" => "has a control character"}.each do |text, fault|
      it "#{fault}" do
        expect { described_class.check(text) }.to raise_error(ReplicatesTo::EncodeError, "key #{text.inspect} #{fault}")
        expect { ReplicatesTo::PrimaryKey.key(JSON.generate([text])) }.to raise_error(ReplicatesTo::EncodeError, /#{fault}/)
      end
    end

    it "may be just short enough" do
      expect(described_class.check("ü" * 256)).to eq("ü" * 256)
    end
  end
end
