# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/samples"

# The same row is the same record, whatever the session's settings make of its text.
RSpec.describe "Settings of a session" do
  include_context "with a database on", :postgresql
  include_context "with a table of samples"

  before { connection.execute("set timezone to 'UTC'") }

  after { connection.execute("reset all; set timezone to 'UTC'; set intervalstyle to iso_8601") }

  def sent_with(setting, type, literal)
    klass = model("v #{type}", only: %i[v])
    insert(literal)
    connection.execute("set #{setting}")
    WireJson.attributes(record(klass)).fetch("v")
  end

  # Amsterdam was 19 minutes and 32 seconds ahead; Kathmandu is 5:45, St. John's -3:30.
  %w[Europe/Amsterdam Asia/Kathmandu America/St_Johns].each do |zone|
    Samples.rows(<<~'TABLE').each do |type, literal, expected|
      timestamptz   | '2026-11-22 06:46:00.123456+00'       | timestamp "2026-11-22T06:46:00.123456Z"
      timestamptz   | '1900-01-01 00:00:00+00'              | timestamp "1900-01-01T00:00:00.000000Z"
      timestamptz   | '1500-01-01 00:00:00.5+00'            | timestamp "1500-01-01T00:00:00.500000Z"
      timestamptz   | '0001-01-01 12:00:00+00'              | timestamp "0001-01-01T12:00:00.000000Z"
      timestamp     | '2026-07-22 06:46:00'                 | timestamp "2026-07-22T06:46:00.000000Z"
      timestamptz[] | '{2026-07-22 06:46:00.5+00}'          | list ["2026-07-22T06:46:00.500000Z"]
      timestamptz[] | '{{1900-01-01 00:00:00+00,null}}'     | json [["1900-01-01T00:00:00.000000Z",null]]
      timestamp[]   | '{2026-07-22 06:46:00}'               | list ["2026-07-22T06:46:00.000000Z"]
      date          | '2026-11-22'                          | date "2026-11-22"
      time          | '06:46:00'                            | time_of_day "06:46:00.000000"
    TABLE
      it "read #{literal} of #{type} the same in #{zone}" do
        expect(sent_with("timezone to '#{zone}'", type, literal)).to eq(expected)
      end
    end
  end

  it "read bytea in its old format" do
    expect(sent_with("bytea_output to escape", "bytea", "'\\x00ff5c41'")).to eq('bytes "AP9cQQ=="')
    connection.execute("drop table samples")
    expect(sent_with("bytea_output to escape", "bytea[]", "array['\\x00ff5c41'::bytea]")).to eq('list ["AP9cQQ=="]')
  end

  {
    "intervalstyle to postgres" => ["interval", "'1 day'", /\Av: "1 day" is not ISO 8601: intervalstyle must stay iso_8601/],
    "datestyle to german" => ["date", "'2026-11-22'", /\Av: "22.11.2026" is not a date\z/]
  }.each do |setting, (type, literal, message)|
    it "end in an error where #{setting} makes the text ambiguous" do
      expect { sent_with(setting, type, literal) }.to raise_error(ReplicatesTo::EncodeError, message)
    end
  end

  # An option of Rails 7.2.
  context "where Rails decodes dates", if: ActiveRecord.gem_version >= Gem::Version.new("7.2") do
    around do |example|
      adapter = ActiveRecord::ConnectionAdapters::PostgreSQLAdapter
      adapter.decode_dates = true
      ActiveRecord::Base.connection_pool.disconnect!
      example.run
    ensure
      adapter.decode_dates = false
      ActiveRecord::Base.connection_pool.disconnect!
    end

    Samples.rows(<<~'TABLE').each do |type, literal, expected|
      date   | '1500-02-28'              | date "1500-02-28"
      date   | '2026-11-22'              | date "2026-11-22"
      date   | '0001-01-01'              | date "0001-01-01"
      date[] | '{1500-02-28,1582-10-10}' | list ["1500-02-28","1582-10-10"]
    TABLE
      it "read #{literal} of #{type} the same" do
        expect(sent(type, literal)).to eq(expected)
      end
    end

    {"'infinity'" => "infinity is not a date", "'0044-03-15 BC'" => "0044-03-15 BC is outside the years 1 to 9999",
     "'12026-01-01'" => "12026-01-01 is outside the years 1 to 9999"}.each do |literal, message|
      it "refuse #{literal}" do
        expect(refused("date", literal)).to eq("v: #{message}")
      end
    end
  end

  context "where the application keeps local times" do
    around { |example| with_local_times("Europe/Berlin") { example.run } }

    Samples.rows(<<~'TABLE').each do |type, literal, expected|
      timestamp   | '2026-07-22 06:46:00.123456'    | timestamp "2026-07-22T04:46:00.123456Z"
      timestamp   | '2026-11-22 06:46:00'           | timestamp "2026-11-22T05:46:00.000000Z"
      timestamp[] | '{2026-07-22 06:46:00.123456}'  | list ["2026-07-22T04:46:00.123456Z"]
      timestamptz | '2026-07-22 06:46:00+00'        | timestamp "2026-07-22T06:46:00.000000Z"
      date        | '2026-07-22'                    | date "2026-07-22"
      time        | '06:46:00'                      | time_of_day "06:46:00.000000"
    TABLE
      it "read #{literal} of #{type} as Rails does" do
        expect(sent(type, literal)).to eq(expected)
      end
    end
  end
end

RSpec.describe ReplicatesTo::ColumnTypes::PostgreSQL::Money do
  # What PostgreSQL writes in the locales of these countries, from the samples that money is learned by.
  {
    "the United States" => ["$1.00", "-$1.00", {"$1,234,567.05" => "1234567.05", "-$0.01" => "-0.01"}],
    "accountants" => ["$1.00", "($1.00)", {"($1,234.50)" => "-1234.50"}],
    "Germany" => ["1,00 €", "-1,00 €", {"1.234,50 €" => "1234.50", "-1.234,50 €" => "-1234.50"}],
    "Switzerland" => ["CHF 1.00", "CHF-1.00", {"CHF 1'234.50" => "1234.50", "CHF-1'234.50" => "-1234.50"}],
    "Japan" => ["￥1", "-￥1", {"￥1,235" => "1235", "-￥1,235" => "-1235"}],
    "Kuwait" => ["KWD 1.000", "KWD 1.000-", {"KWD 1,234.500" => "1234.500", "KWD 1,234.500-" => "-1234.500"}]
  }.each do |country, (positive, negative, amounts)|
    it "reads the amounts of #{country}" do
      money = described_class.learn(positive, negative)
      amounts.each { |text, amount| expect(money.decimal(text)).to eq(BigDecimal(amount)) }
      expect(money.scale).to eq(amounts.values.first[/\.(\d+)/, 1].to_s.size)
    end
  end

  it "learns nothing where a negative amount reads like a positive one" do
    expect(described_class.learn("$1.00", "$1.00")).to be_nil
  end
end
