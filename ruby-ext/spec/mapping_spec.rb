# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe ReplicatesTo::Mapping do
  # What a row's record says, read off the wire.
  def attributes(model, record = model.unscoped.first)
    mapping = model.replicates_to_mapping(:billing)
    Wire.record(mapping.schema.encode("1", 2, 1, 0, 0, nil, nil, mapping.values(record))).attributes
  end

  # A model of a table made for the example.
  def model(columns, name: "Sample", parent: ActiveRecord::Base, **options, &body)
    ActiveRecord::Base.connection.execute("create table samples (id #{identity}, #{columns})")
    ActiveRecord::Base.connection.schema_cache.clear!
    ActiveRecord::Base.connection.clear_cache!
    Class.new(parent) do
      define_singleton_method(:name) { name }
      self.table_name = "samples"
      include ReplicatesTo
      class_exec(&body) if body
      replicates_to :billing, **options
    end
  end

  def insert(values)
    ActiveRecord::Base.connection.execute("insert into samples values (1, #{values})")
  end

  def problem(...)
    model(...).replicates_to_mapping(:billing)
    nil
  rescue ReplicatesTo::MappingError => e
    e.message
  end

  after { ActiveRecord::Base.connection.execute("drop table if exists samples") if ActiveRecord::Base.connected? }

  ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a database on", adapter

      let(:identity) { adapter == :postgresql ? "bigserial primary key" : "integer primary key" }

      it "selects every column, the primary key included, sorted by the bytes of their public names" do
        klass = model("b text, a text, \"Z\" text", rename: {b: "é"})
        expect(klass.replicates_to_mapping(:billing).names).to eq(%w[Z a id é])
      end

      it "renames, leaves out and computes" do
        klass = model("plate text, price numeric(8,2)", except: %i[id price], rename: {plate: :registration}, compute: {loud: :shout}) do
          define_method(:shout) { plate.upcase }
          private :shout
        end
        insert("'ka', 1")
        expect(attributes(klass)).to eq("registration" => "ka", "loud" => "KA")
      end

      it "publishes what the column holds, whatever a reader of that name returns" do
        klass = model("plate text", only: %i[plate]) { define_method(:plate) { "overridden" } }
        insert("'ka'")
        expect(attributes(klass)).to eq("plate" => "ka")
      end

      it "keeps the scale of a decimal, and sends null as null" do
        klass = model("price numeric(10,2), other numeric(10,2)", except: :id)
        insert("10.5, null")
        expect(attributes(klass)).to eq("price" => "10.50", "other" => nil)
      end

      it "takes an enum's label, an attribute's own type, a store accessor and a serialized value" do
        klass = model("state integer, size text, settings text, tags text",
                      only: %i[state size color tags], sensitive: %i[tags]) do
          enum state: {draft: 0, sold: 1}
          attribute :size, :integer
          store :settings, accessors: %i[color], coder: JSON
          ActiveRecord.version < Gem::Version.new("7.1") ? serialize(:tags, JSON) : serialize(:tags, coder: JSON)
        end
        klass.new(state: :sold, size: "7", color: "red", tags: {"a" => [1]}).tap { |row| ReplicatesTo.disabled { row.save! } }
        expect(attributes(klass)).to eq("state" => "sold", "size" => 7, "color" => "red", "tags" => {"a" => [1]})
      end

      it "masks what is sensitive and marks what is volatile" do
        klass = model("phone text", only: %i[phone], sensitive: %i[phone], compute: {age: ->(_) { 3 }}, volatile: %i[age])
        insert("'1'")
        mapping = klass.replicates_to_mapping(:billing)
        record = Wire.record(mapping.schema.encode("1", 2, 1, 0, 0, nil, nil, mapping.values(klass.first)))
        expect([record.sensitive, record.volatile]).to eq([%w[phone], %w[age]])
      end

      it "has a fingerprint that tells names, types and options apart, and nothing else" do
        prints = [
          {only: %i[a b]}, {only: %i[b a]}, {only: %i[a]}, {only: %i[a b], rename: {a: :c}}, {only: %i[a b], sensitive: %i[a]},
          {only: %i[a], compute: {b: ->(_) { 1 }}}, {only: %i[a], compute: {b: ->(_) { 2 }}}
        ].map do |options|
          print = model("a text, b text", **options).replicates_to_mapping(:billing).fingerprint
          ActiveRecord::Base.connection.execute("drop table samples")
          print
        end
        expect(prints[0]).to eq(prints[1])
        expect(prints[5]).to eq(prints[6])
        expect(prints.uniq.size).to eq(5)
        expect(prints).to all(be_between(0, (2**64) - 1))
      end

      it "names a column that does not exist, with the nearest one" do
        expect(problem("plate text", only: %i[plat]))
          .to eq("Sample: replicates_to :billing names plat, which samples does not have (did you mean plate?)")
      end

      it "refuses a renamed attribute that takes another column's name" do
        expect(problem("plate text, vin text", rename: {plate: :vin}))
          .to eq("Sample: replicates_to :billing has two attributes named vin: plate (renamed) and vin (selected)")
      end

      it "refuses a filtered column that is not named sensitive" do
        body = proc { self.filter_attributes = %i[ssn] }
        expect(problem("ssn text", &body)).to eq("Sample: ssn is filtered or encrypted; name it in sensitive: or in except:")
      end

      it "lets a filtered column through when it is named sensitive, or left out" do
        body = proc { self.filter_attributes = %i[ssn] }
        expect(problem("ssn text", sensitive: %i[ssn], &body)).to be_nil
        ActiveRecord::Base.connection.execute("drop table samples")
        expect(problem("ssn text", except: %i[ssn], &body)).to be_nil
      end

      it "refuses a table without a primary key" do
        body = proc { self.primary_key = nil }
        expect(problem("a text", &body)).to eq("Sample: samples has no primary key, which replicates_to needs")
      end

      it "refuses a database that it does not work on" do
        klass = model("a text")
        allow(ActiveRecord::Base.connection).to receive(:adapter_name).and_return("Mysql2")
        expect { klass.replicates_to_mapping(:billing) }
          .to raise_error(ReplicatesTo::MappingError, "Sample: replicates_to works on PostgreSQL and SQLite, not on Mysql2")
      end

      it "says that the table is missing" do
        klass = model("a text")
        ActiveRecord::Base.connection.execute("drop table samples")
        ActiveRecord::Base.connection.schema_cache.clear!
        expect { klass.replicates_to_mapping(:billing) }.to raise_error(StandardError, /samples/)
      end

      it "never shows a sensitive value in an error" do
        klass = model("phone text, born date", only: %i[phone born], sensitive: %i[phone born])
        insert(adapter == :postgresql ? "'x', '0044-03-15 BC'" : "'x', '-44-03-15'")
        expect { attributes(klass) }.to raise_error(ReplicatesTo::EncodeError) { |e| expect(e.message).not_to include("44") }
      end
    end
  end

  context "with the types of PostgreSQL" do
    include_context "with a database on", :postgresql

    let(:identity) { "bigserial primary key" }

    {
      "boolean" => ["true", true],
      "smallint" => ["-32768", -32_768],
      "bigint" => ["9223372036854775807", 9_223_372_036_854_775_807],
      "numeric" => ["12345678901234567890.120", "12345678901234567890.12"],
      "numeric(5,0)" => ["42", "42"],
      "numeric(12,3)" => ["'NaN'", "NaN"],
      "real" => ["1.5", 1.5],
      "double precision" => ["'-Infinity'", -Float::INFINITY],
      "text" => ["'ü'", "ü"],
      "varchar(9)" => ["'a'", "a"],
      "char(3)" => ["'a'", "a  "],
      "uuid" => ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"],
      "inet" => ["'192.168.1.5/24'", "192.168.1.5/24"],
      "cidr" => ["'10.0.0.0/8'", "10.0.0.0/8"],
      "macaddr" => ["'08:00:2b:01:02:03'", "08:00:2b:01:02:03"],
      "bit(3)" => ["b'101'", "101"],
      "xml" => ["'<a/>'", "<a/>"],
      "bytea" => ["'\\x00ff41'", "\x00\xFFA".b],
      "date" => ["'1500-02-28'", Date.new(1500, 2, 28, Date::GREGORIAN)],
      "time" => ["'06:46:00.123456'", 24_360_123_456_000],
      "timestamp" => ["'1969-12-31 23:59:59.000001'", Time.utc(1969, 12, 31, 23, 59, 59, 1)],
      "timestamptz" => ["'2026-11-22 08:46:00.5+02'", Time.utc(2026, 11, 22, 6, 46, Rational(1, 2))],
      "interval" => ["'1 year 2 days 00:00:00.000001'", "P1Y2DT0.000001S"],
      "json" => ["'{\"b\": 1.10, \"a\": null}'", {"b" => 1.1, "a" => nil}],
      "jsonb" => ["'[1]'", [1]],
      "integer[]" => ["'{1,null,3}'", [1, nil, 3]],
      "text[]" => ["'{\"a,b\",c}'", ["a,b", "c"]],
      "numeric(6,2)[]" => ["'{1.5}'", ["1.50"]],
      "date[]" => ["'{2026-11-22}'", [Date.new(2026, 11, 22)]],
      "timestamptz[]" => ["'{2026-11-22 06:46:00+00}'", [Time.utc(2026, 11, 22, 6, 46)]],
      "bytea[]" => ["'{\"\\\\x00ff\"}'", ["\x00\xFF".b]]
    }.each do |type, (literal, value)|
      it "reads #{type} as it is" do
        klass = model("v #{type}", only: %i[v])
        insert(literal)
        expect(attributes(klass)["v"]).to eq(value)
      end
    end

    it "embeds json verbatim: digits and the order of keys stay" do
      klass = model("v json", only: %i[v])
      insert("'{\"z\": 1.10, \"a\": 1e400}'")
      mapping = klass.replicates_to_mapping(:billing)
      expect(mapping.values(klass.first)).to eq(['{"z": 1.10, "a": 1e400}'])
    end

    it "reads an enum, a domain and hstore" do
      connection = ActiveRecord::Base.connection
      connection.execute("create type mood as enum ('sad', 'glad'); create domain money2 as numeric(10,2); create extension hstore")
      klass = model("m mood, p money2, h hstore", except: :id)
      insert("'glad', 1.5, 'a=>1'")
      expect(attributes(klass)).to eq("m" => "glad", "p" => "1.50", "h" => {"a" => "1"})
    ensure
      connection.execute("drop table samples; drop type mood; drop domain money2; drop extension hstore")
      connection.send(:reload_type_map)
    end

    %w[tstzrange point money timetz tsvector int4range[]].each do |type|
      it "refuses #{type}" do
        label = {"timetz" => "time with time zone"}.fetch(type, type)
        expect(problem("period #{type}"))
          .to eq("Sample: period is a #{label}, which has no wire type; leave it out or give it a compute:")
      end
    end

    {"timestamp" => "'infinity'", "date" => "'infinity'", "time" => "'24:00'", "numeric" => "'Infinity'",
     "timestamptz" => "'0044-03-15 00:00:00 BC'", "integer[]" => "'{{1},{2}}'"}.each do |type, literal|
      it "cannot encode #{literal} of #{type}, and names the field" do
        klass = model("v #{type}", only: %i[v])
        insert(literal)
        expect { attributes(klass) }.to raise_error(ReplicatesTo::EncodeError, /\Av: /)
      end
    end

    it "gives a uuid, a text and a date key in their text form" do
      ["uuid", "text", "date"].zip(["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "a,b", "2026-11-22"]).each do |type, key|
        ActiveRecord::Base.connection.execute("create table samples (id #{type} primary key)")
        ActiveRecord::Base.connection.schema_cache.clear!
        ActiveRecord::Base.connection.execute("insert into samples values ('#{key}')")
        klass = Class.new(ActiveRecord::Base) { self.table_name = "samples" }
        json = ReplicatesTo::PrimaryKey.dump(klass, klass.first.id)
        expect(ReplicatesTo::PrimaryKey.key(json)).to eq(key)
        expect(klass.where(id: ReplicatesTo::PrimaryKey.load(klass, json)).count).to eq(1)
        ActiveRecord::Base.connection.execute("drop table samples")
      end
    end

    it "refuses a key of a type whose text may differ" do
      ActiveRecord::Base.connection.execute("create table samples (id timestamptz primary key)")
      ActiveRecord::Base.connection.schema_cache.clear!
      klass = Class.new(ActiveRecord::Base) do
        def self.name = "Sample"
        self.table_name = "samples"
        include ReplicatesTo
        replicates_to :billing
      end
      expect { klass.replicates_to_mapping(:billing) }.to raise_error(ReplicatesTo::MappingError, /primary key id is a/)
    end
  end

  context "with the types of SQLite" do
    include_context "with a database on", :sqlite

    let(:identity) { "integer primary key" }

    {
      "boolean" => ["1", true],
      "integer" => ["7", 7],
      "float" => ["1.5", 1.5],
      "decimal(10,0)" => ["42", "42"],
      "varchar" => ["'a'", "a"],
      "text" => ["'ü'", "ü"],
      "blob" => ["x'00ff'", "\x00\xFF".b],
      "date" => ["'1500-02-28'", Date.new(1500, 2, 28, Date::GREGORIAN)],
      "time" => ["'2000-01-01 06:46:00.123456'", 24_360_123_456_000],
      "datetime" => ["'2026-11-22 06:46:00.123456'", Time.utc(2026, 11, 22, 6, 46, Rational(123_456, 1_000_000))],
      "json" => ["'{\"a\": 1.10}'", {"a" => 1.1}]
    }.each do |type, (literal, value)|
      it "reads #{type} as it is" do
        klass = model("v #{type}", only: %i[v])
        insert(literal)
        expect(attributes(klass)["v"]).to eq(value)
      end
    end

    it "refuses a type that it does not know" do
      expect(problem("period tstzrange")).to eq("Sample: period is a tstzrange, which has no wire type; leave it out or give it a compute:")
    end
  end

  describe "a key" do
    {"" => "is empty", "a" * 513 => "is longer than 512 bytes", "a\tb" => "has a control character"}.each do |key, fault|
      it "cannot be #{key[0, 5].inspect}: it #{fault}" do
        expect { ReplicatesTo::PrimaryKey.key(JSON.generate([key])) }.to raise_error(ReplicatesTo::EncodeError, /#{fault}/)
      end
    end
  end
end
