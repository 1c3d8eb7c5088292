# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/samples"

RSpec.describe ReplicatesTo::ColumnTypes::SQLite do
  include_context "with a database on", :sqlite
  include_context "with a table of samples"

  # Declared type, what SQL writes, what is sent.
  Samples.rows(<<~'TABLE').each do |type, literal, expected|
    boolean       | 1                                                    | bool true
    boolean       | 0                                                    | bool false
    boolean       | 't'                                                  | bool true
    boolean       | 'f'                                                  | bool false
    boolean       | null                                                 | null
    integer       | 7                                                    | int64 7
    integer       | -9223372036854775808                                 | int64 -9223372036854775808
    integer       | 9223372036854775807                                  | int64 9223372036854775807
    bigint        | 9007199254740993                                     | int64 9007199254740993
    integer(2)    | 32768                                                | int64 32768
    float         | 1.5                                                  | double 1.5
    float         | 3                                                    | double 3.0
    float         | 9e999                                                | double "Infinity"
    float         | -0.0                                                 | double 0.0
    float         | 0.1                                                  | double 0.1
    decimal       | 1.5                                                  | decimal "1.5"
    decimal       | 100                                                  | decimal "100"
    decimal       | '1.10'                                               | decimal "1.1"
    decimal       | 1e20                                                 | decimal "100000000000000000000"
    decimal       | 0.1                                                  | decimal "0.1"
    decimal       | 1e-7                                                 | decimal "0.0000001"
    decimal(10,2) | 10.5                                                 | decimal "10.50"
    decimal(10,2) | 10                                                   | decimal "10.00"
    decimal(10,2) | 0.1 + 0.2                                            | decimal "0.30"
    decimal(10,2) | 11.5 * 1.1                                           | decimal "12.65"
    decimal(10,2) | '7'                                                  | decimal "7.00"
    decimal(10,2) | null                                                 | null
    decimal(10,2) | -0.001                                               | decimal "0.00"
    decimal(10,0) | 42                                                   | decimal "42"
    decimal(10,0) | 42.0                                                 | decimal "42"
    decimal(10,0) | 42.5                                                 | decimal "43"
    decimal(20)   | 9007199254740993                                     | decimal "9007199254740993"
    numeric(6,3)  | 1.5                                                  | decimal "1.500"
    varchar       | 'a'                                                  | string "a"
    varchar       | ''                                                   | string ""
    varchar       | 7                                                    | string "7"
    text          | 'ü🚗'                                                 | string "ü🚗"
    text          | x'c3bc'                                              | string "ü"
    text          | 1.5                                                  | string "1.5"
    blob          | x'00ff'                                              | bytes "AP8="
    blob          | x''                                                  | bytes ""
    blob          | 'text'                                               | bytes "dGV4dA=="
    date          | '1500-02-28'                                         | date "1500-02-28"
    date          | '0001-01-01'                                         | date "0001-01-01"
    date          | '9999-12-31'                                         | date "9999-12-31"
    date          | '1582-10-10'                                         | date "1582-10-10"
    time          | '2000-01-01 06:46:00.123456'                         | time_of_day "06:46:00.123456"
    time          | '06:46:00'                                           | time_of_day "06:46:00.000000"
    time          | '06:46'                                              | time_of_day "06:46:00.000000"
    time          | '23:59:59.9'                                         | time_of_day "23:59:59.900000"
    datetime      | '2026-11-22 06:46:00.123456'                         | timestamp "2026-11-22T06:46:00.123456Z"
    datetime      | '2026-11-22 06:46:00'                                | timestamp "2026-11-22T06:46:00.000000Z"
    datetime      | '2026-11-22 06:46:00.5'                              | timestamp "2026-11-22T06:46:00.500000Z"
    datetime      | '2026-11-22T06:46:00Z'                               | timestamp "2026-11-22T06:46:00.000000Z"
    datetime      | '2026-11-22 08:46:00+02:00'                          | timestamp "2026-11-22T06:46:00.000000Z"
    datetime      | '2026-11-22 06:46'                                   | timestamp "2026-11-22T06:46:00.000000Z"
    datetime      | '2026-11-22'                                         | timestamp "2026-11-22T00:00:00.000000Z"
    datetime      | '2026-11-22 06:46:00.123456789'                      | timestamp "2026-11-22T06:46:00.123456789Z"
    datetime      | '1969-12-31 23:59:59.000001'                         | timestamp "1969-12-31T23:59:59.000001Z"
    datetime      | '0001-01-01 00:00:00'                                | timestamp "0001-01-01T00:00:00.000000Z"
    datetime(0)   | '2026-11-22 06:46:00.5'                              | timestamp "2026-11-22T06:46:00.500000Z"
    timestamp     | '2026-11-22 06:46:00.5'                              | timestamp "2026-11-22T06:46:00.500000Z"
    json          | '{"z": 1.10, "a": 12345678901234567890, "z": 1e400}' | json {"z": 1.10, "a": 12345678901234567890, "z": 1e400}
    json          | 'null'                                               | json null
    json          | null                                                 | null
    json          | '[]'                                                 | json []
    json          | '"ü"'                                                | json "ü"
    json          | 7                                                    | json 7
    json          | '1.5'                                                | json 1.5
  TABLE
    it "sends #{literal[0, 60]} of #{type} as #{expected[0, 60]}" do
      expect(sent(type, literal)).to eq(expected)
    end
  end

  # SQLite takes anything into any column; Rails would read 0, nil, or something else.
  Samples.rows(<<~'TABLE').each do |type, literal, message|
    boolean       | ''                     | "" is not a boolean
    integer       | 'abc'                  | a String is not an integer
    integer       | 1.5                    | a Float is not an integer
    float         | 'abc'                  | a String is not a float
    decimal(10,2) | 'abc'                  | "abc" is not a decimal
    decimal(10,2) | 9e999                  | infinity is not a decimal
    text          | x'c328'                | text is not UTF-8
    text          | cast(x'c328' as text)  | text is not UTF-8
    blob          | 7                      | an Integer is not a byte string
    date          | '2026-02-30'           | "2026-02-30" is not a date
    date          | '-44-03-15'            | -44-03-15 is outside the years 1 to 9999
    date          | 7                      | 7 is not a date
    date          | '10000-01-01'          | 10000-01-01 is outside the years 1 to 9999
    date          | '0000-01-01'           | 0000-01-01 is outside the years 1 to 9999
    time          | '24:00'                | 24:00 is outside a day
    time          | 'noon'                 | "noon" is not a time of day
    time          | 7                      | 7 is not a time of day
    datetime      | '2026-02-30 06:46:00'  | "2026-02-30 06:46:00" is not a timestamp
    datetime      | 'soon'                 | "soon" is not a timestamp
    datetime      | '2026-13-01 06:46:00'  | "2026-13-01 06:46:00" is not a timestamp
    datetime      | 7                      | an Integer is not a timestamp
    datetime      | '10000-01-01 00:00:00' | 10000-01-01 00:00:00 is outside the years 1 to 9999
    datetime      | '2026-11-22 24:00:00'  | "2026-11-22 24:00:00" is not a timestamp
    json          | '{'                    | the text is not JSON
    json          | '{"a": NaN}'           | the text is not JSON
  TABLE
    it "cannot send #{literal} of #{type}, and names the field" do
      expect(refused(type, literal)).to eq("v: #{message}")
    end

    it "keeps #{literal} of #{type} to itself where it is sensitive" do
      told = refused(type, literal, sensitive: %i[v])
      expect(told).not_to include("infinity")
      expect(told).not_to include(literal.delete("'")) unless literal == "''"
    end
  end

  %w[tstzrange REAL].each do |type|
    it "refuses #{type}, which is not a type of Rails" do
      expect(problem("v #{type}")).to eq("Sample: v is a #{type}, which has no wire type; leave it out or give it a compute:")
    end
  end

  it "reads times as Rails does, where the application keeps local times" do
    with_local_times("Europe/Berlin") do
      expect(sent("datetime", "'2026-07-22 06:46:00.5'")).to eq('timestamp "2026-07-22T04:46:00.500000Z"')
      connection.execute("drop table samples")
      expect(sent("datetime", "'2026-07-22 06:46:00Z'")).to eq('timestamp "2026-07-22T06:46:00.000000Z"')
      connection.execute("drop table samples")
      expect(sent("time", "'2000-01-01 06:46:00'")).to eq('time_of_day "06:46:00.000000"')
    end
  end

  # Rails 6.1 does not see generated columns of SQLite.
  it "sends generated columns, stored and virtual, where Rails knows them" do
    klass = model("price integer, twice integer as (price * 2) stored, thrice integer as (price * 3) virtual", except: :id)
    connection.execute("insert into samples (id, price) values (1, 2)")
    known = {"price" => "int64 2", "twice" => "int64 4", "thrice" => "int64 6"}.slice(*klass.column_names)
    expect(known).to include("price")
    expect(WireJson.attributes(record(klass))).to eq(known)
  end

  it "lets a compute read a generated column that Rails does not know" do
    klass = model("price integer, twice integer as (price * 2) virtual", only: :price, compute: {double: ->(row) { row[:twice] }})
    connection.execute("insert into samples (id, price) values (1, 2)")
    expect(WireJson.attributes(record(klass))).to eq("price" => "int64 2", "double" => "int64 4")
  end
end
