# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/samples"

RSpec.describe ReplicatesTo::ColumnTypes::PostgreSQL do
  include_context "with a database on", :postgresql
  include_context "with a table of samples"

  before(:all) do
    ActiveRecord::Base.connection.tap do |connection|
      connection.execute(<<~SQL)
        create extension citext; create extension hstore;
        create type mood as enum ('sad', 'so so', 'glad');
        create type place as (x integer, y integer);
        create domain price as numeric(10,2); create domain net_price as price check (value >= 0); create domain any_number as numeric;
        create domain scores as integer[]; create domain stay as daterange; create domain feeling as mood;
      SQL
      connection.send(:reload_type_map)
    end
  end

  # Type, what SQL writes, what is sent.
  Samples.rows(<<~'TABLE').each do |type, literal, expected|
    boolean            | true                                                         | bool true
    boolean            | false                                                        | bool false
    boolean            | null                                                         | null
    smallint           | -32768                                                       | int64 -32768
    smallint           | 32767                                                        | int64 32767
    integer            | -2147483648                                                  | int64 -2147483648
    integer            | 2147483647                                                   | int64 2147483647
    integer            | 0                                                            | int64 0
    bigint             | -9223372036854775808                                         | int64 -9223372036854775808
    bigint             | 9223372036854775807                                          | int64 9223372036854775807
    oid                | 4294967295                                                   | int64 4294967295
    numeric            | 12345678901234567890.120                                     | decimal "12345678901234567890.12"
    numeric            | 1.10                                                         | decimal "1.1"
    numeric            | 100                                                          | decimal "100"
    numeric            | -0.00                                                        | decimal "0"
    numeric            | 1e-25                                                        | decimal "0.0000000000000000000000001"
    numeric            | 1e40                                                         | decimal "10000000000000000000000000000000000000000"
    numeric            | 'NaN'                                                        | decimal "NaN"
    numeric            | null                                                         | null
    numeric(12,3)      | 'NaN'                                                        | decimal "NaN"
    numeric(12,3)      | 0.1                                                          | decimal "0.100"
    numeric(12,3)      | -123456789.5                                                 | decimal "-123456789.500"
    numeric(12,3)      | 0                                                            | decimal "0.000"
    numeric(12,3)      | -0.0004                                                      | decimal "0.000"
    numeric(5,0)       | 42                                                           | decimal "42"
    numeric(5,0)       | 42.5                                                         | decimal "43"
    numeric(5,0)       | 0                                                            | decimal "0"
    numeric(20)        | 99999999999999999999                                         | decimal "99999999999999999999"
    numeric(5,-2)      | 1234567                                                      | decimal "1234600"
    numeric(5,-2)      | 49                                                           | decimal "0"
    numeric(3,5)       | 0.00123                                                      | decimal "0.00123"
    numeric(3,5)       | 0.001                                                        | decimal "0.00100"
    money              | '12.5'                                                       | decimal "12.50"
    money              | '-1234567.05'                                                | decimal "-1234567.05"
    money              | 0                                                            | decimal "0.00"
    money              | '-0.01'                                                      | decimal "-0.01"
    money              | '92233720368547758.07'                                       | decimal "92233720368547758.07"
    money              | '-92233720368547758.08'                                      | decimal "-92233720368547758.08"
    real               | 1.1                                                          | double 1.1
    real               | 'NaN'                                                        | double "NaN"
    real               | '-Infinity'                                                  | double "-Infinity"
    real               | 16777216                                                     | double 16777216.0
    double precision   | 0.1                                                          | double 0.1
    double precision   | -1.7976931348623157e308                                      | double -1.7976931348623157e308
    double precision   | 5e-324                                                       | double 5e-324
    double precision   | '-0'                                                         | double -0.0
    double precision   | 'NaN'                                                        | double "NaN"
    double precision   | 'Infinity'                                                   | double "Infinity"
    double precision   | 9007199254740993                                             | double 9007199254740992.0
    text               | ''                                                           | string ""
    text               | 'ü🚗'                                                         | string "ü🚗"
    text               | E'a\n\t\u0001"\\'                                            | string "a\n\t\u0001\"\\"
    text               | 'null'                                                       | string "null"
    varchar(9)         | 'a '                                                         | string "a "
    char(3)            | 'a'                                                          | string "a  "
    char(3)            | ''                                                           | string "   "
    citext             | 'AbC'                                                        | string "AbC"
    name               | 'a'                                                          | string "a"
    xml                | '<a b="1"> ü </a>'                                           | string "<a b=\"1\"> ü </a>"
    mood               | 'so so'                                                      | string "so so"
    mood               | null                                                         | null
    uuid               | 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'                       | string "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
    inet               | '192.168.1.5/24'                                             | string "192.168.1.5/24"
    inet               | '192.168.1.5'                                                | string "192.168.1.5"
    inet               | '2001:db8::1/64'                                             | string "2001:db8::1/64"
    cidr               | '10.0.0.0/8'                                                 | string "10.0.0.0/8"
    cidr               | '10.1.2.3'                                                   | string "10.1.2.3/32"
    macaddr            | '08-00-2B-01-02-03'                                          | string "08:00:2b:01:02:03"
    macaddr8           | '08:00:2b:01:02:03:04:05'                                    | string "08:00:2b:01:02:03:04:05"
    bit(3)             | b'001'                                                       | string "001"
    bit varying        | b''                                                          | string ""
    bit varying        | b'0101'                                                      | string "0101"
    bytea              | '\x00ff41'                                                   | bytes "AP9B"
    bytea              | ''                                                           | bytes ""
    bytea              | '\\x41'                                                      | bytes "XHg0MQ=="
    date               | '0001-01-01'                                                 | date "0001-01-01"
    date               | '9999-12-31'                                                 | date "9999-12-31"
    date               | '1500-02-28'                                                 | date "1500-02-28"
    date               | '1582-10-10'                                                 | date "1582-10-10"
    date               | '1969-12-31'                                                 | date "1969-12-31"
    date               | '2024-02-29'                                                 | date "2024-02-29"
    time               | '06:46:00.123456'                                            | time_of_day "06:46:00.123456"
    time               | '00:00'                                                      | time_of_day "00:00:00.000000"
    time               | '23:59:59.999999'                                            | time_of_day "23:59:59.999999"
    timestamp          | '1969-12-31 23:59:59.000001'                                 | timestamp "1969-12-31T23:59:59.000001Z"
    timestamp          | '0001-01-01'                                                 | timestamp "0001-01-01T00:00:00.000000Z"
    timestamp          | '9999-12-31 23:59:59.999999'                                 | timestamp "9999-12-31T23:59:59.999999Z"
    timestamp          | '1582-10-10'                                                 | timestamp "1582-10-10T00:00:00.000000Z"
    timestamptz        | '2026-11-22 08:46:00.5+02'                                   | timestamp "2026-11-22T06:46:00.500000Z"
    timestamptz        | '0001-01-01 00:00:00+00'                                     | timestamp "0001-01-01T00:00:00.000000Z"
    timestamptz        | '9999-12-31 23:59:59.999999+00'                              | timestamp "9999-12-31T23:59:59.999999Z"
    timestamptz        | '1969-12-31 23:59:59.999999+00'                              | timestamp "1969-12-31T23:59:59.999999Z"
    interval           | '1 year 2 days 00:00:00.000001'                              | string "P1Y2DT0.000001S"
    interval           | '0'                                                          | string "PT0S"
    interval           | '-1 month'                                                   | string "P-1M"
    interval           | '1 month -3 days -04:05:06.7'                                | string "P1M-3DT-4H-5M-6.7S"
    interval           | '-00:00:00.000001'                                           | string "PT-0.000001S"
    interval           | '1000 hours'                                                 | string "PT1000H"
    interval           | '2 weeks'                                                    | string "P14D"
    json               | '{"z": 1.10, "a":12345678901234567890 , "z":1e400}'          | json {"z": 1.10, "a":12345678901234567890 , "z":1e400}
    json               | 'null'                                                       | json null
    json               | null                                                         | null
    json               | '"text"'                                                     | json "text"
    json               | ' 1.10'                                                      | json  1.10
    json               | '[]'                                                         | json []
    json               | '"\u00e9\ud83d\ude97"'                                       | json "\u00e9\ud83d\ude97"
    jsonb              | '{"bb": 1.10, "a": 12345678901234567890, "bb": 2.50}'        | json {"a": 12345678901234567890, "bb": 2.50}
    jsonb              | 'null'                                                       | json null
    jsonb              | null                                                         | null
    jsonb              | 'true'                                                       | json true
    jsonb              | '"ü"'                                                        | json "ü"
    hstore             | ''                                                           | json {}
    hstore             | 'a=>1, bb=>NULL'                                             | json {"a":"1","bb":null}
    hstore             | null                                                         | null
    hstore             | hstore(array['q"', E'b\\', 'a=>b, ', E'n\nl', 'NULL', 'ü'], array['"', E'\\\\"', '', null, 'NULL', '🚗']) | json {"b\\":"\\\\\"","q\"":"\"","ü":"🚗","n\nl":null,"NULL":"NULL","a=>b, ":""}
    price              | 1.5                                                          | decimal "1.50"
    net_price          | 1.5                                                          | decimal "1.50"
    any_number         | 1.50                                                         | decimal "1.5"
    feeling            | 'sad'                                                        | string "sad"
    boolean[]          | '{t,null,f}'                                                 | list [true,null,false]
    smallint[]         | '{-32768}'                                                   | list [-32768]
    integer[]          | '{1,null,3}'                                                 | list [1,null,3]
    integer[]          | '{}'                                                         | list []
    integer[]          | '{null}'                                                     | list [null]
    integer[]          | null                                                         | null
    integer[]          | '[0:2]={1,2,3}'                                              | list [1,2,3]
    integer[]          | '{{1,2},{3,null}}'                                           | json [[1,2],[3,null]]
    integer[]          | '[-1:0][5:5]={{1},{2}}'                                      | json [[1],[2]]
    integer[]          | '{{{1}}}'                                                    | json [[[1]]]
    bigint[]           | '{9223372036854775807}'                                      | list [9223372036854775807]
    text[]             | array['a,b', '{c}', 'q"', E'b\\', '', ' ', null, 'NULL', 'null', 'ü'] | list ["a,b","{c}","q\"","b\\",""," ",null,"NULL","null","ü"]
    text[]             | array[array['a', null], array['"', 'b']]                     | json [["a",null],["\"","b"]]
    varchar(3)[]       | '{a}'                                                        | list ["a"]
    citext[]           | '{A}'                                                        | list ["A"]
    numeric[]          | '{1.50,NaN,100}'                                             | list ["1.5","NaN","100"]
    numeric(6,2)[]     | '{1.5,null}'                                                 | list ["1.50",null]
    numeric(6,2)[]     | '{{1.5},{NaN}}'                                              | json [["1.50"],["NaN"]]
    money[]            | array['-1234.5'::money, null]                                | list ["-1234.50",null]
    real[]             | '{1.1,Infinity,NaN}'                                         | list [1.1,"Infinity","NaN"]
    double precision[] | '{0.1,1e100}'                                                | list [0.1,1e100]
    double precision[] | '{{0.1,NaN}}'                                                | json [[0.1,"NaN"]]
    date[]             | '{2026-11-22,1500-02-28}'                                    | list ["2026-11-22","1500-02-28"]
    date[]             | '{{1500-02-28}}'                                             | json [["1500-02-28"]]
    time[]             | '{06:46:00.5}'                                               | list ["06:46:00.500000"]
    time[]             | '{{06:46}}'                                                  | json [["06:46:00.000000"]]
    timestamp[]        | '{"1969-12-31 23:59:59.000001"}'                             | list ["1969-12-31T23:59:59.000001Z"]
    timestamptz[]      | '{2026-11-22 08:46:00+02}'                                   | list ["2026-11-22T06:46:00.000000Z"]
    timestamptz[]      | '{{0001-01-01 00:00:00+00}}'                                 | json [["0001-01-01T00:00:00.000000Z"]]
    interval[]         | '{1 day,-00:00:00.000001}'                                   | list ["P1D","PT-0.000001S"]
    bytea[]            | array['\x00ff'::bytea, '']                                   | list ["AP8=",""]
    bytea[]            | array[array['\x00ff'::bytea]]                                | json [["AP8="]]
    uuid[]             | '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'                     | list ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]
    inet[]             | '{192.168.1.5/24}'                                           | list ["192.168.1.5/24"]
    bit(2)[]           | '{01}'                                                       | list ["01"]
    xml[]              | array['<a/>'::xml]                                           | list ["<a/>"]
    mood[]             | '{sad,"so so",null}'                                         | list ["sad","so so",null]
    json[]             | array['{"b": 1.10, "b": [1e400]}', 'null', null]::json[]     | json [{"b": 1.10, "b": [1e400]},null,null]
    json[]             | '{}'                                                         | json []
    json[]             | array[array['1.10'], array['"}"']]::json[]                   | json [[1.10],["}"]]
    jsonb[]            | array['{"b": 1.10}', '"q"']::jsonb[]                         | json [{"b": 1.10},"q"]
    jsonb[]            | null                                                         | null
    hstore[]           | array['a=>1', null, '"q\""=>NULL']::hstore[]                 | json [{"a":"1"},null,{"q\"":null}]
    price[]            | '{1.5}'                                                      | list ["1.50"]
    net_price[]        | '{1.5}'                                                      | list ["1.50"]
    any_number[]       | '{1.50}'                                                     | list ["1.5"]
    scores             | '{1,null}'                                                   | list [1,null]
    scores             | '{{1}}'                                                      | json [[1]]
    feeling[]          | '{sad}'                                                      | list ["sad"]
  TABLE
    it "sends #{literal[0, 60]} of #{type} as #{expected[0, 60]}" do
      expect(sent(type, literal)).to eq(expected)
    end
  end

  it "sends what is long" do
    expect(sent("text", "repeat('x', 200000)")).to eq(%(string "#{"x" * 200_000}"))
  end

  it "sends jsonb with the digits that the database made of an exponent" do
    expect(sent("jsonb", "'1e400'")).to eq("json 1#{"0" * 400}")
  end

  {time: "time_of_day", timestamp: "timestamp", timestamptz: "timestamp"}.each do |type, kind|
    (0..6).each do |precision|
      it "sends #{type}(#{precision}) as it is kept" do
        clock = "06:46:07.123457"
        kept = precision.zero? ? clock[0, 8] : clock[0, 9 + precision]
        expected = kept.ljust(9, ".").ljust(15, "0")
        expected = "2026-11-22T#{expected}Z" unless type == :time
        expect(sent("#{type}(#{precision})", "'2026-11-22 #{kept}#{"+00" if type == :timestamptz}'")).to eq(%(#{kind} "#{expected}"))
      end
    end
  end

  it "sends the fraction of an interval as it is kept" do
    expect(sent("interval(2)", "'00:00:01.239'")).to eq('string "PT1.24S"')
  end

  it "takes the largest numeric there is" do
    expect(sent("numeric", "'9#{"0" * 131_071}.#{"0" * 16_382}1'")).to eq(%(decimal "9#{"0" * 131_071}.#{"0" * 16_382}1"))
  end

  it "sends a generated column as what the database made of it" do
    klass = model("price numeric(8,2), gross numeric generated always as (price * 1.19) stored", except: :id)
    connection.execute("insert into samples (price) values (100)")
    expect(WireJson.attributes(record(klass))).to eq("price" => 'decimal "100.00"', "gross" => 'decimal "119"')
  end

  it "tells the kinds of its columns" do
    klass = model("a numeric(8,2), b money, c integer[], d jsonb[], e hstore, f mood[]", except: :id)
    expect(klass.replicates_to_mapping(:billing).types)
      .to eq("a" => :decimal, "b" => :decimal, "c" => %i[list integer], "d" => :json, "e" => :json, "f" => %i[list string])
  end

  %w[tstzrange int4range nummultirange point line lseg box path polygon circle tsvector tsquery timetz place pg_lsn txid_snapshot jsonpath
     regclass int4range[] point[] timetz[] place[] int2vector stay scores[]].each do |type|
    it "refuses #{type}, and says what can be done" do
      label = {"timetz" => "time with time zone", "timetz[]" => "time with time zone[]", "stay" => "daterange"}.fetch(type, type)
      expect(problem("period #{type}"))
        .to eq("Sample: period is a #{label}, which has no wire type; leave it out or give it a compute:")
    end
  end

  it "is not taken in by a type of the application that has the name of another" do
    connection.execute("create schema own; create type own.uuid as (a integer)")
    expect(problem("v own.uuid")).to eq("Sample: v is a own.uuid, which has no wire type; leave it out or give it a compute:")
  ensure
    connection.execute("drop schema own cascade")
  end

  it "lets what it refuses be left out, or computed" do
    klass = model("period int4range", except: %i[period], compute: {from: ->(row) { row.period.begin }})
    insert("'[3,7)'")
    expect(WireJson.attributes(record(klass))).to eq("id" => "int64 1", "from" => "int64 3")
  end

  Samples.rows(<<~'TABLE').each do |type, literal, message|
    date          | 'infinity'                      | infinity is not a date
    date          | '-infinity'                     | infinity is not a date
    date          | '0044-03-15 BC'                 | 0044-03-15 BC is outside the years 1 to 9999
    date          | '10000-01-01'                   | 10000-01-01 is outside the years 1 to 9999
    time          | '24:00'                         | 24:00:00 is outside a day
    timestamp     | 'infinity'                      | infinity is not a timestamp
    timestamp     | '-infinity'                     | infinity is not a timestamp
    timestamp     | '0044-03-15 01:02:03 BC'        | outside the years 1 to 9999
    timestamp     | '10000-01-01'                   | outside the years 1 to 9999
    timestamptz   | 'infinity'                      | infinity is not a timestamp
    timestamptz   | '0044-03-15 00:00:00+00 BC'     | outside the years 1 to 9999
    timestamptz   | '9999-12-31 23:59:59-01'        | outside the years 1 to 9999
    numeric       | 'Infinity'                      | infinity is not a decimal
    numeric       | '-Infinity'                     | infinity is not a decimal
    date[]        | '{infinity}'                    | infinity is not a date
    time[]        | '{24:00}'                       | 24:00:00 is outside a day
    timestamp[]   | '{infinity}'                    | infinity is not a timestamp
    timestamp[]   | '{0044-03-15 BC}'               | outside the years 1 to 9999
    timestamp[]   | '{10000-01-01}'                 | outside the years 1 to 9999
    timestamptz[] | '{"0044-03-15 00:00:00+00 BC"}' | outside the years 1 to 9999
    numeric[]     | '{{Infinity}}'                  | infinity is not a decimal
  TABLE
    it "cannot send #{literal} of #{type}, and names the field" do
      expect(refused(type, literal)).to start_with("v: ").and(end_with(message))
    end

    it "keeps #{literal} of #{type} to itself where it is sensitive" do
      expect(refused(type, literal, sensitive: %i[v])).not_to match(/44|10000|24:00|infinity/i)
    end
  end
end
