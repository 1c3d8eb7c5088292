# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/samples"

RSpec.describe ReplicatesTo::Mapping do
  include_context "with a table of samples"

  ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a database on", adapter

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

      # Of the key, and of the columns that have a unique index.
      def keyed(columns, key, unique, **options, &body)
        model(columns, key: key, **options, &body).tap do
          ActiveRecord::Base.connection.add_index(:samples, unique, unique: true) if unique
        end
      end

      {
        "a column that does not exist" => ["code text", :cod, nil, "cod, which is not a column of samples (did you mean code?)"],
        "an attribute without a column" => ["code text", :label, nil, "label, which is not a column of samples"],
        "a column that may be null" =>
          ["code text", :code, :code, "code, which may be null: change_column_null :samples, :code, false"],
        "a column without a unique index" =>
          ["code text not null", :code, nil, "code, which needs a unique index: add_index :samples, :code, unique: true"],
        "columns without a unique index" =>
          ["code text not null, tenant integer not null", %i[tenant code], nil,
           "tenant, code, which needs a unique index: add_index :samples, %i[tenant code], unique: true"],
        "a part of what is unique" =>
          ["code text not null, tenant integer not null", :code, %i[tenant code],
           "code, which needs a unique index: add_index :samples, :code, unique: true"],
        "a type whose text may differ" => ["code float not null", :code, :code, "code, which is a float: that cannot be a key"],
        "an attribute with a type of its own" =>
          ["code text not null", :code, :code, "code, which has a type of its own: that cannot be a key",
           proc { attribute :code, :integer }],
        "a filtered column" =>
          ["code text not null", :code, :code, "code, which is filtered or encrypted: keys are shown in every log",
           proc { self.filter_attributes = [:code] }]
      }.each do |name, (columns, key, unique, message, body)|
        it "refuses as key: #{name}" do
          klass = keyed(columns, key, unique, only: :id, &body)
          expect { klass.replicates_to_mapping(:billing) }
            .to raise_error(ReplicatesTo::MappingError, "Sample: replicates_to :billing takes key: #{message}")
        end
      end

      # Rails 6.1 does not show such a column of SQLite's at all.
      it "refuses as key: a column that the database generates" do
        generated = "code text generated always as (lower(plate)) stored #{'not null' if adapter == :postgresql}"
        klass = keyed("plate text not null, #{generated}", :code, :code, only: :id)
        expect { klass.replicates_to_mapping(:billing) }
          .to raise_error(ReplicatesTo::MappingError, /takes key: code, which (the database generates: nothing says|is not a column)/)
      end

      it "refuses as key: a column that is unique in a part of the table only" do
        klass = keyed("code text not null", :code, nil)
        ActiveRecord::Base.connection.execute("create unique index partly on samples (code) where code <> ''")
        ActiveRecord::Base.connection.execute("create unique index loosely on samples (lower(code))")
        expect { klass.replicates_to_mapping(:billing) }.to raise_error(ReplicatesTo::MappingError, /needs a unique index/)
      end

      it "takes as key: an alias, columns of which some are unique, and the primary key" do
        klass = keyed("code text not null, tenant integer not null", %i[tenant number], :code) { alias_attribute :number, :code }
        insert("'c', 7")
        mapping = klass.replicates_to_mapping(:billing)
        expect([mapping.key.names, mapping.key_of(klass.first), mapping.own_key?]).to eq([%w[tenant code], "7,c", true])
        klass.replicates_to(:other, key: :id)
        expect(klass.replicates_to_mapping(:other)).not_to be_own_key
      end

      it "has the same fingerprint whatever its key" do
        prints = %i[code id].map do |key|
          keyed("code text not null", key, :code).replicates_to_mapping(:billing).fingerprint
                                                 .tap { ActiveRecord::Base.connection.execute("drop table samples") }
        end
        expect(prints.uniq.size).to eq(1)
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

  context "with the keys of PostgreSQL" do
    include_context "with a database on", :postgresql

    it "refuses a key of a type whose text may differ" do
      ActiveRecord::Base.connection.execute("create table samples (id float8 primary key)")
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
end
