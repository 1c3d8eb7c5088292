# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/samples"
require "ipaddr"
require "set"
require "uri"

# A type whose values are of all classes.
class OfAnyClass < ActiveRecord::Type::Value
  VALUES = {
    "integer" => 7, "large integer" => 2**64, "float" => 1.5, "not a number" => Float::NAN, "decimal" => BigDecimal("10.50"),
    "string" => "ü", "symbol" => :glad, "date" => Date.new(1500, 2, 28, Date::GREGORIAN), "time" => Time.utc(1969, 12, 31, 23, 59, 59.5),
    "zoned" => Time.utc(2026, 11, 22, 6, 46).in_time_zone("Tokyo"), "date and time" => DateTime.new(2026, 11, 22, 8, 46, 0, "+2"),
    "duration" => 1.day + 0.000001.seconds, "true" => true, "false" => false, "nil" => nil, "list" => [1, nil, 2], "empty list" => [],
    "list of lists" => [[BigDecimal("1.50")], []], "hash" => {b: Date.new(2026, 11, 22), "a" => [1.5, nil]}, "list of hashes" => [{a: 1}],
    "rational" => Rational(1, 3), "complex" => Complex(1, 2), "range" => 1..2, "set" => Set[1], "address" => IPAddr.new("10.0.0.1"),
    "uri" => URI("http://a.example"), "object" => Object.new, "hash of objects" => {a: Object.new},
    "latin text" => "\xFC".dup.force_encoding("ISO-8859-1"),
    "bytes" => "\xFF".b, "infinity" => BigDecimal("Infinity"), "later" => Date.new(10_000, 1, 1)
  }.freeze

  def deserialize(value) = VALUES.fetch(value)
end

# Attributes whose type the model declares: enum, serialize, store, attribute, encrypts.
RSpec.describe ReplicatesTo::ColumnTypes::Declared do
  include_context "with a table of samples"

  ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a database on", adapter

      it "sends the label of an enum, of integers and of text" do
        klass = model("state integer, size text, other integer", except: :id) do
          Samples.enum(self, :state, {draft: 0, sold: 1})
          Samples.enum(self, :size, {small: "S", large: "L"})
          Samples.enum(self, :other, %i[one two])
        end
        insert("1, 'S', null")
        expect(WireJson.attributes(record(klass))).to eq("state" => 'string "sold"', "size" => 'string "small"', "other" => "null")
      end

      it "does not turn a value that the enum does not know into null" do
        body = proc { Samples.enum(self, :v, {draft: 0, sold: 1}) }
        expect(refused("integer", "7", &body)).to eq("v: 7 is no label of the enum")
        connection.execute("drop table samples")
        expect(refused("integer", "7", sensitive: :v, &body)).not_to include("7")
      end

      {
        "integer" => "int64 7", "large integer" => 'decimal "18446744073709551616"', "float" => "double 1.5",
        "not a number" => 'double "NaN"',
        "decimal" => 'decimal "10.5"', "string" => 'string "ü"', "symbol" => 'string "glad"', "date" => 'date "1500-02-28"',
        "time" => 'timestamp "1969-12-31T23:59:59.500000Z"', "zoned" => 'timestamp "2026-11-22T06:46:00.000000Z"',
        "date and time" => 'timestamp "2026-11-22T06:46:00.000000Z"', "duration" => 'string "P1DT0.000001S"', "true" => "bool true",
        "false" => "bool false", "nil" => "null", "list" => "list [1,null,2]", "empty list" => "list []",
        "list of lists" => 'json [["1.5"],[]]',
        "hash" => 'json {"b":"2026-11-22","a":[1.5,null]}', "list of hashes" => 'json [{"a":1}]', "latin text" => 'string "ü"'
      }.each do |name, expected|
        it "sends the #{name} of an attribute with a type of its own by its class" do
          expect(sent("text", "'#{name}'") { attribute :v, OfAnyClass.new }).to eq(expected)
        end
      end

      {
        "rational" => "a Rational", "complex" => "a Complex", "range" => "a Range", "set" => "a Set", "address" => "an IPAddr",
        "uri" => "an URI::HTTP", "object" => "an Object", "hash of objects" => "an Object"
      }.each do |name, what|
        it "refuses the #{name} of one, naming field and class" do
          expect(refused("text", "'#{name}'") { attribute :v, OfAnyClass.new }).to eq("v: #{what} is not a value with a wire type")
        end
      end

      {"bytes" => "text is not UTF-8", "infinity" => "infinity is not a decimal", "later" => "10000-01-01 is outside the years 1 to 9999"}
        .each do |name, message|
        it "refuses the #{name} of one, naming the field" do
          expect(refused("text", "'#{name}'") { attribute :v, OfAnyClass.new }).to eq("v: #{message}")
        end
      end

      it "names the field where an attribute cannot be read, and tells nothing of a sensitive one" do
        body = proc { attribute :v, OfAnyClass.new }
        expect(refused("text", "'secret'", &body)).to eq('v: KeyError: key not found: "secret"')
        connection.execute("drop table samples")
        expect(refused("text", "'secret'", sensitive: :v, &body)).to eq("v: the value cannot be read or encoded")
      end

      it "reads an attribute that is declared as the column's own type as the column" do
        klass = model("price numeric(8,2), at timestamp, text varchar(9)", except: :id) do
          attribute :price, :decimal, precision: 5, scale: 1
          attribute :at, :datetime, precision: 0
          attribute :text, :string, limit: 3
        end
        insert("10.55, '2026-11-22 06:46:00.5', 'abcdef'")
        expect(WireJson.attributes(record(klass)))
          .to eq("price" => 'decimal "10.55"', "at" => 'timestamp "2026-11-22T06:46:00.500000Z"', "text" => 'string "abcdef"')
      end

      # It came with Rails 7.1, and wraps the column's type.
      it "reads a normalized attribute as the column has it", if: ActiveRecord::Base.respond_to?(:normalizes) do
        expect(sent("numeric(8,2)", "10.5") { normalizes :v, with: ->(v) { v.round } }).to eq('decimal "10.50"')
      end

      it "sends an attribute without a column, and one with a default" do
        klass = model("v integer", only: %i[nick v]) do
          attribute :nick, :string, default: "x"
          attribute :v, default: 3
        end
        insert("7")
        expect(WireJson.attributes(record(klass))).to eq("nick" => 'string "x"', "v" => "int64 7")
      end

      it "sends serialized JSON as JSON, in its order, whatever its class" do
        {
          '{"z": 1.5, "a": [null, true, "ü"]}' => 'json {"z":1.5,"a":[null,true,"ü"]}', '"text"' => 'json "text"', "7" => "json 7",
          "[]" => "json []"
        }.each do |text, expected|
          expect(sent("text", "'#{text}'") { Samples.serialize(self, :v, JSON) }).to eq(expected)
          connection.execute("drop table samples")
        end
        expect(sent("text", "null") { Samples.serialize(self, :v, JSON) }).to eq("null")
      end

      it "sends serialized YAML as JSON" do
        expect(sent("text", "'---\nb: 1.5\na:\n- x\n- 2026\n'") { Samples.serialize(self, :v, YAML) })
          .to eq('json {"b":1.5,"a":["x",2026]}')
        connection.execute("drop table samples")
        expect(sent("text", "null") { Samples.serialize(self, :v, YAML, type: Array) }).to eq("json []")
      end

      it "names the field whose YAML Rails does not load" do
        expect(refused("text", "'--- !ruby/object:OpenStruct {}\n'") { Samples.serialize(self, :v, YAML) })
          .to start_with("v: Psych::DisallowedClass: ")
      end

      it "sends what a coder of the application loads by its class" do
        coder = Class.new do
          def self.dump(value) = value.to_s
          def self.load(text) = text && {"at" => Time.at(Rational(text)).utc, "price" => BigDecimal(text)}
        end
        expect(sent("text", "'1.5'") { Samples.serialize(self, :v, coder) })
          .to eq('json {"at":"1970-01-01T00:00:01.500000Z","price":"1.5"}')
      end

      it "sends a store as JSON, and its accessors by the class of their values" do
        klass = model("settings text, other text", only: %i[settings color size gone my_kind]) do
          store :settings, accessors: %i[color size gone], coder: JSON
          store :other, accessors: %i[kind], prefix: :my, coder: JSON
        end
        insert(%('{"color":"red","size":7,"unknown":[1.5]}', '{"kind":true}'))
        expect(WireJson.attributes(record(klass))).to eq(
          "settings" => 'json {"color":"red","size":7,"unknown":[1.5]}', "color" => 'string "red"', "size" => "int64 7", "gone" => "null",
          "my_kind" => "bool true"
        )
      end

      it "does not take part of an accessor's name for it" do
        body = proc { store :settings, accessors: %i[color], prefix: :my, coder: JSON }
        expect(problem("settings text", only: %i[color], &body))
          .to eq("Sample: replicates_to :billing names color, which samples does not have")
      end

      # They came with Rails 7.0.
      it "sends encrypted attributes in clear, once they are named sensitive", if: ActiveRecord::Base.respond_to?(:encrypts) do
        ActiveRecord::Encryption.configure(primary_key: "a" * 32, deterministic_key: "b" * 32, key_derivation_salt: "c" * 32)
        body = proc do
          encrypts :phone
          encrypts :email, deterministic: true
          store :settings, accessors: %i[color], coder: JSON
          encrypts :settings
        end
        columns = "phone text, email text, settings text"
        expect(problem(columns, only: %i[phone], &body)).to start_with("Sample: phone is filtered or encrypted; ")
        connection.execute("drop table samples")
        expect(problem(columns, only: %i[color], &body)).to start_with("Sample: color is filtered or encrypted; ")
        connection.execute("drop table samples")
        klass = model(columns, only: %i[phone email color], sensitive: %i[phone email color], &body)
        ReplicatesTo.disabled { klass.create!(phone: "0170 1", email: "a@b.example", color: "red") }
        expect(connection.select_rows("select phone, email, settings from samples").flatten.join).not_to match(/0170|example|red/)
        expect(WireJson.attributes(record(klass)))
          .to eq("phone" => 'string "0170 1"', "email" => 'string "a@b.example"', "color" => 'string "red"')
        expect(Wire.record(record(klass)).sensitive).to eq(%w[color email phone])
      end
    end
  end

  context "with the types of postgresql" do
    include_context "with a database on", :postgresql

    it "reads an interval as the column has it, whether or not Rails makes a Duration of it" do
      literal = "'-1 month 3 days -00:00:01.000001'"
      expect(sent("interval", literal) { attribute :v, :interval }).to eq('string "P-1M3DT-1.000001S"')
      connection.execute("drop table samples")
      expect(sent("interval(6)", literal) { attribute :v, :string }).to eq('string "P-1M3DT-1.000001S"')
    end

    it "takes another type of elements for a type of the attribute's own" do
      expect(sent("text[]", "'{1,2}'") { attribute :v, :integer, array: true }).to eq("list [1,2]")
      connection.execute("drop table samples")
      expect(sent("text[]", "'{1,2}'") { attribute :v, :string, array: true }).to eq('list ["1","2"]')
      connection.execute("drop table samples")
      loud = Class.new(ActiveRecord::Type::String) { def deserialize(value) = value.upcase }
      of_loud = ActiveRecord::ConnectionAdapters::PostgreSQL::OID::Array.new(loud.new)
      expect(sent("varchar[]", "'{a,b}'") { attribute :v, of_loud }).to eq('list ["A","B"]')
    end

    it "sends the label of a Rails enum over an enum of the database" do
      connection.execute("create type mood as enum ('sad', 'glad')")
      connection.send(:reload_type_map)
      expect(sent("mood", "'glad'") { Samples.enum(self, :v, {low: "sad", high: "glad"}) }).to eq('string "high"')
    ensure
      connection.execute("drop table samples; drop type mood")
    end

    it "reads accessors of a store in jsonb, and of one in hstore" do
      connection.execute("create extension if not exists hstore")
      connection.send(:reload_type_map)
      klass = model("settings jsonb, tags hstore", only: %i[settings tags color label]) do
        store_accessor :settings, :color
        store_accessor :tags, :label
      end
      insert(%('{"color": 1.10}', 'label=>x'))
      expect(WireJson.attributes(record(klass)))
        .to eq("settings" => 'json {"color": 1.10}', "tags" => 'json {"label":"x"}', "color" => "double 1.1", "label" => 'string "x"')
    end
  end

  context "with json of sqlite" do
    include_context "with a database on", :sqlite

    it "reads accessors of a store in json" do
      klass = model("settings json", only: %i[settings color]) { store_accessor :settings, :color }
      insert(%('{"color": 1.10}'))
      expect(WireJson.attributes(record(klass))).to eq("settings" => 'json {"color": 1.10}', "color" => "double 1.1")
    end
  end
end
