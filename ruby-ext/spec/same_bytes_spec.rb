# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/samples"

# Every release of Rails makes the same bytes of the same row: these.
RSpec.describe "A row with a column of every type" do
  include_context "with a table of samples"

  def hex(model)
    record(model).unpack1("H*").scan(/.{1,140}/).join("\n")
  end

  def fixture(name)
    File.read(File.join(__dir__, "fixtures", "#{name}.hex")).chomp
  end

  context "with postgresql" do
    include_context "with a database on", :postgresql

    before do
      connection.execute("create extension citext; create extension hstore; create type mood as enum ('sad', 'glad'); " \
                         "create domain price as numeric(10,2)")
      connection.send(:reload_type_map)
    end

    # Type, and what SQL writes.
    let(:columns) do
      Samples.rows(<<~'TABLE')
        boolean          | true
        smallint         | -1
        integer          | 2147483647
        bigint           | -9223372036854775808
        numeric          | 1.50
        numeric(12,3)    | 1234.5
        numeric(9,0)     | 42
        money            | '-1234.5'
        real             | 1.1
        double precision | 0.1
        text             | 'ü🚗'
        varchar(9)       | 'a'
        char(3)          | 'a'
        citext           | 'AbC'
        mood             | 'glad'
        uuid             | 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'
        inet             | '192.168.1.5/24'
        cidr             | '10.0.0.0/8'
        macaddr          | '08:00:2b:01:02:03'
        bit(3)           | b'101'
        bit varying      | b'0101'
        xml              | '<a/>'
        bytea            | '\x00ff41'
        date             | '1500-02-28'
        time             | '06:46:00.123456'
        timestamp        | '1969-12-31 23:59:59.000001'
        timestamptz      | '2026-11-22 08:46:00.5+02'
        interval         | '1 month -3 days -04:05:06.7'
        json             | '{"z": 1.10, "a": 1e400}'
        jsonb            | '{"z": 1.10, "a": 12345678901234567890}'
        hstore           | 'a=>1, bb=>NULL'
        price            | 1.5
        integer[]        | '{1,null}'
        integer[]        | '{{1},{2}}'
        numeric(6,2)[]   | '{1.5}'
        timestamptz[]    | '{2026-11-22 06:46:00+00}'
        jsonb[]          | array['1.10']::jsonb[]
        price[]          | '{1.5}'
        integer          | null
      TABLE
    end

    it "is the same record on every Rails" do
      names = columns.each_index.map { |at| format("c%02d", at) }
      klass = model(names.zip(columns).map { |name, (type, _)| "#{name} #{type}" }.join(", "), sensitive: %i[c12], compute: {
                      time: ->(_) { Time.utc(2026, 11, 22, 6, 46) }, length: ->(_) { 1.day + 2.hours },
                      hash: ->(_) { {a: [BigDecimal("1.50"), 0.1], "b" => Time.utc(2026, 11, 22).in_time_zone("Tokyo")} }
                    }, volatile: %i[time])
      insert(columns.map(&:last).join(", "))
      expect(hex(klass)).to eq(fixture("postgresql_row"))
    end
  end

  context "with sqlite" do
    include_context "with a database on", :sqlite

    it "is the same record on every Rails" do
      klass = model(
        "a boolean, b integer, c bigint, d float, e decimal(10,2), f decimal, g varchar, h text, i blob, j date, k time, l datetime, " \
        "m json, n integer, o text, p text"
      ) do
        Samples.enum(self, :n, {draft: 0, sold: 1})
        Samples.serialize(self, :o, JSON)
        attribute :p, :integer
      end
      insert(%q('t', -1, 9007199254740993, 0.1, 10.5, 1.5, 'ü', '', x'00ff', '1500-02-28', '2000-01-01 06:46:00.123456',
                '1969-12-31 23:59:59.000001', '{"z": 1.10}', 1, '{"z": [1.5]}', '7'))
      expect(hex(klass)).to eq(fixture("sqlite_row"))
    end
  end
end
