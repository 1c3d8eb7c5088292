# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/samples"
require "active_support/core_ext/integer/time"

# The guide says what becomes of every type; here it is held to its word.
RSpec.describe "docs/guides/types.md" do
  include_context "with a table of samples"

  guide = File.read(File.expand_path("../../docs/guides/types.md", __dir__))

  # The tables below a heading of the second level, by the cells of their head.
  tables_below = lambda do |heading|
    section = guide[/^## #{heading}$.*?(?=^## |\z)/m]
    section.scan(/^(\|[^\n]+)\n\|[-|]+\n((?:\|[^\n]+\n)+)/).map do |head, rows|
      [head, rows].map { |lines| lines.lines.map { |line| line.strip.delete_prefix("|").delete_suffix("|").split(" | ").map(&:strip) } }
    end
  end

  # A cell may go on with a remark; what counts stands between the first backticks.
  code = ->(cell) { cell[/`([^`]+)`/, 1] }

  {"PostgreSQL" => :postgresql, "SQLite" => :sqlite}.each do |heading, adapter|
    context "with #{adapter}" do
      include_context "with a database on", adapter

      before do
        next unless adapter == :postgresql

        connection.execute(<<~SQL)
          create extension if not exists citext; create extension if not exists hstore;
          create type mood as enum ('sad', 'glad'); create type place as (x integer, y integer); create domain price as numeric(10,2);
        SQL
        connection.send(:reload_type_map)
      end

      after do
        next unless adapter == :postgresql

        connection.execute("drop table if exists samples; drop type mood; drop type place; drop domain price")
        connection.send(:reload_type_map)
      end

      tables_below.call(heading).each do |(head), rows|
        rows.each do |column, *cells|
          case head.last
          when "JSON"
            literal, kind, json = cells
            it "is right about #{code.call(literal)} of #{column}" do
              expected = kind == "null" ? "null" : "#{kind} #{code.call(json)}"
              expect(sent(code.call(column) || "integer", code.call(literal))).to eq(expected)
            end
          when "message"
            literal, message = cells
            it "is right about what is said of #{code.call(literal)} of #{column}" do
              expect(refused(code.call(column), code.call(literal))).to eq(message)
            end
          when "called in the message"
            it "is right about #{column}, which is refused" do
              column.scan(/`([^`]+)`/).flatten.each do |type|
                label = type == code.call(column) ? cells.first : type
                expect(problem("period #{type}"))
                  .to eq("Sample: period is a #{label}, which has no wire type; leave it out or give it a compute:")
                connection.execute("drop table samples")
              end
            end
          else raise "a table of #{head.last}"
          end
        end
      end
    end
  end

  context "with values by their class" do
    include_context "with a database on", :sqlite

    tables_below.call("Values by their class").each do |_, rows|
      rows.each do |ruby, kind, json|
        it "is right about #{code.call(ruby)}" do
          value = eval(code.call(ruby)) # rubocop:disable Security/Eval -- an example of our own guide
          klass = model("a integer", only: :a, compute: {v: ->(_) { value }})
          insert("1")
          expect(WireJson.attributes(record(klass))["v"]).to eq(kind == "null" ? "null" : "#{kind} #{code.call(json)}")
        end
      end
    end
  end

  it "has a line for every type that the gem takes" do
    types = tables_below.call("PostgreSQL").first.last.map { |cells| code.call(cells.first) }.compact
    names = ReplicatesTo::ColumnTypes::PostgreSQL::KINDS.keys
    spelled = {"bool" => "boolean", "int2" => "smallint", "int4" => "integer", "int8" => "bigint", "float4" => "real",
               "float8" => "double precision", "bpchar" => "char", "varbit" => "bit varying"}
    expect(names.map { |name| spelled.fetch(name, name) } - types.map { |type| type[/\A[a-z0-9 ]+/] }).to be_empty
    kinds = tables_below.call("SQLite").first.last.map { |cells| code.call(cells.first)[/\A[a-z]+/] }
    expect(ReplicatesTo::ColumnTypes::SQLite::KINDS.keys.map(&:to_s) - kinds).to match_array(%w[string binary])
  end
end
