# frozen_string_literal: true

require "stringio"
require_relative "native_helper"

RSpec.describe ReplicatesTo::Native::Schema, :native do
  def refused(kind, value, **options)
    record(kind, value, **options)
    raise "#{value.inspect} was encoded as #{kind}"
  rescue ReplicatesTo::EncodeError => e
    e.message
  end

  describe "booleans" do
    it "takes true and false and nothing that only looks like them" do
      expect(wire(:bool, true)).to eq([:bool, true])
      expect(wire(:bool, false)).to eq([:bool, false])
      expect(refused(:bool, 1)).to eq("field: an Integer is not a boolean")
      expect(refused(:bool, "t")).to eq("field: a String is not a boolean")
    end
  end

  describe "integers" do
    [0, 1, -1, 2**31, 2**62 - 1, 2**62, -(2**62) - 1, 2**63 - 1, -(2**63)].each do |value|
      it("keeps #{value}") { expect(wire(:integer, value)).to eq([:int64, value]) }
    end

    [2**63, -(2**63) - 1, 2**64 - 1, 10**40].each do |value|
      it("sends #{value}, which int64 cannot hold, as a decimal") { expect(wire(:integer, value)).to eq([:decimal, value.to_s]) }
    end

    it "refuses what is not an integer, naming the class and not the value" do
      expect(refused(:integer, "7")).to eq("field: a String is not an integer")
      expect(refused(:integer, 7.0)).to eq("field: a Float is not an integer")
    end
  end

  describe "decimals" do
    {["10.5", 2] => "10.50", ["1e3", 0] => "1000", ["-0.005", 2] => "-0.005", ["0", 2] => "0.00", ["-0", nil] => "0",
     ["100", nil] => "100", ["1.10", nil] => "1.1", ["1e-25", nil] => "0.0000000000000000000000001", ["1e50", 1] => "1#{"0" * 50}.0",
     ["123456789012345678901234567890.12", 2] => "123456789012345678901234567890.12"}.each do |(text, scale), plain|
      it "writes #{text} of scale #{scale.inspect} as #{plain}" do
        expect(wire(:decimal, BigDecimal(text), scale:)).to eq([:decimal, plain])
      end
    end

    it "takes integers" do
      expect(wire(:decimal, 12, scale: 2)).to eq([:decimal, "12.00"])
      expect(wire(:decimal, 10**30)).to eq([:decimal, (10**30).to_s])
    end

    it "writes NaN as a word and refuses infinity" do
      expect(wire(:decimal, BigDecimal("NaN"), scale: 2)).to eq([:decimal, "NaN"])
      expect(refused(:decimal, BigDecimal("Infinity"))).to eq("field: infinity is not a decimal")
      expect(refused(:decimal, BigDecimal("-Infinity"))).to eq("field: infinity is not a decimal")
    end

    it "refuses an exponent that would fill the memory with zeros" do
      expect(refused(:decimal, BigDecimal("1e2000000"))).to eq("field: more than 150000 digits")
      expect(refused(:decimal, BigDecimal("1e-2000000"))).to eq("field: more than 150000 digits")
    end

    it "refuses floats, which are not exact" do
      expect(refused(:decimal, 1.5)).to eq("field: a Float is not a decimal")
    end
  end

  describe "floats" do
    [0.0, -0.0, 1.5, Float::MAX, Float::MIN, 5e-324, Float::INFINITY, -Float::INFINITY].each do |value|
      it("keeps #{value}") { expect([wire(:float, value).last].pack("E")).to eq([value].pack("E")) }
    end

    it "writes every NaN with the same bytes" do
      other = ["0100000000f8ff"].pack("H*").ljust(8, "\x7f").unpack1("E")
      expect(other).to be_nan
      expect(record(:float, other)).to eq(record(:float, Float::NAN))
    end

    it "refuses integers" do
      expect(refused(:float, 1)).to eq("field: an Integer is not a float")
    end
  end

  describe "strings" do
    ["", "KA-01", "München", "🚗", "a\0b", "\u{10ffff}", "x" * 200_000].each do |value|
      it("keeps #{value[0, 20].inspect}") { expect(wire(:string, value)).to eq([:string, value]) }
    end

    it "converts text of other encodings" do
      expect(wire(:string, "Gr\xFC\xDFe".dup.force_encoding("ISO-8859-1"))).to eq([:string, "Grüße"])
      expect(wire(:string, "Grüße".encode("UTF-16LE"))).to eq([:string, "Grüße"])
      expect(wire(:string, "abc".encode("US-ASCII"))).to eq([:string, "abc"])
    end

    it "takes unlabelled bytes that are UTF-8" do
      expect(wire(:string, "Grüße".b)).to eq([:string, "Grüße"])
    end

    it "takes symbols" do
      expect(wire(:string, :aktiv_ü)).to eq([:string, "aktiv_ü"])
    end

    ["KA\xFF", "\xED\xA0\x80", "\xC0\x80", "\xFF".b, "\x80".dup.force_encoding("US-ASCII"), "\xD8".dup.force_encoding("UTF-16LE"),
     "\x81".dup.force_encoding("Windows-1252")].each do |value|
      it("refuses #{value.inspect} in #{value.encoding}") { expect(refused(:string, value)).to eq("field: text is not UTF-8") }
    end

    it "refuses what is not text" do
      expect(refused(:string, 1)).to eq("field: an Integer is not a string")
    end
  end

  describe "bytes" do
    ["", "\xFF\x00\xFE".b, "text"].each do |value|
      it("keeps #{value.inspect}") { expect(wire(:bytes, value)).to eq([:bytes, value.b]) }
    end
  end

  describe "dates" do
    {Date.new(1970, 1, 1) => 0, Date.new(1969, 12, 31) => -1, Date.new(2026, 11, 22) => 20_779,
     Date.new(9999, 12, 31) => 2_932_896, Date.new(1, 1, 1, Date::GREGORIAN) => -719_162}.each do |date, days|
      it("counts #{days} days to #{date}") { expect(wire(:date, date)).to eq([:date, days]) }
    end

    it "takes days" do
      expect(wire(:date, -719_162)).to eq([:date, -719_162])
      expect(wire(:date, 2_932_896)).to eq([:date, 2_932_896])
    end

    it "refuses years outside 1 to 9999" do
      expect(refused(:date, Date.new(10_000, 1, 1))).to eq("field: 10000-01-01 is outside the years 1 to 9999")
      expect(refused(:date, Date.new(0, 12, 31, Date::GREGORIAN))).to eq("field: 0000-12-31 is outside the years 1 to 9999")
      expect(refused(:date, 2_932_897)).to eq("field: 2932897 is outside the years 1 to 9999")
      expect(refused(:date, 10**30)).to include("outside the years 1 to 9999")
      expect(refused(:date, Date.new(10**20, 1, 1))).to include("outside the years 1 to 9999")
    end

    it "refuses infinite dates, which databases have" do
      expect(refused(:date, Float::INFINITY)).to eq("field: infinity is not a date")
      expect(refused(:date, -Float::INFINITY)).to eq("field: infinity is not a date")
    end
  end

  describe "times of day" do
    it "takes nanoseconds since midnight" do
      expect(wire(:time_of_day, 0)).to eq([:time_of_day, 0])
      expect(wire(:time_of_day, 86_399_999_999_999)).to eq([:time_of_day, 86_399_999_999_999])
    end

    it "takes what a clock shows in the time's own zone" do
      expect(wire(:time_of_day, Time.utc(2000, 1, 1, 6, 46, 0, 123_456))).to eq([:time_of_day, 24_360_123_456_000])
      expect(wire(:time_of_day, Time.new(2000, 1, 1, 0, 30, 0, "+09:00"))).to eq([:time_of_day, 1_800_000_000_000])
    end

    it "refuses 24:00 and what is before midnight" do
      expect(refused(:time_of_day, 86_400_000_000_000)).to eq("field: 86400000000000 is outside a day")
      expect(refused(:time_of_day, -1)).to eq("field: -1 is outside a day")
      expect(refused(:time_of_day, "06:46")).to eq("field: a String is not a time of day")
    end
  end

  describe "timestamps" do
    it "keeps nanoseconds and the instant, whatever the zone" do
      expect(wire(:timestamp, Time.at(1_795_329_960, 123_456_789, :nsec).utc)).to eq([:timestamp, [1_795_329_960, 123_456_789]])
      expect(wire(:timestamp, Time.new(2026, 11, 22, 15, 46, 0, "+09:00"))).to eq([:timestamp, [1_795_329_960, 0]])
    end

    it "goes below 1970" do
      expect(wire(:timestamp, Time.at(-1, 500_000_000, :nsec))).to eq([:timestamp, [-1, 500_000_000]])
      expect(wire(:timestamp, Time.utc(1, 1, 1))).to eq([:timestamp, [-62_135_596_800, 0]])
      expect(wire(:timestamp, Time.utc(9999, 12, 31, 23, 59, 59))).to eq([:timestamp, [253_402_300_799, 0]])
    end

    it "takes DateTime" do
      expect(wire(:timestamp, DateTime.new(2026, 11, 22, 6, 46, 0.5))).to eq([:timestamp, [1_795_329_960, 500_000_000]])
      expect(wire(:timestamp, DateTime.new(1970, 1, 1, 8, 59, Rational(119, 2), "+9"))).to eq([:timestamp, [-1, 500_000_000]])
      expect(wire(:timestamp, DateTime.new(1500, 3, 1, 0, 0, 0, 0, Date::GREGORIAN))).to eq([:timestamp, [-14_826_672_000, 0]])
      expect(refused(:timestamp, DateTime.new(10**12))).to include("outside the years 1 to 9999")
    end

    it "refuses years outside 1 to 9999 and infinity" do
      expect(refused(:timestamp, Time.utc(10_000))).to eq("field: 10000-01-01 00:00:00 UTC is outside the years 1 to 9999")
      expect(refused(:timestamp, Time.utc(0, 12, 31))).to include("outside the years 1 to 9999")
      expect(refused(:timestamp, Time.utc(10**12))).to include("outside the years 1 to 9999")
      expect(refused(:timestamp, Float::INFINITY)).to eq("field: infinity is not a timestamp")
      expect(refused(:timestamp, Date.new(2026, 11, 22))).to eq("field: a Date is not a timestamp")
    end
  end

  describe "JSON" do
    it "is embedded as it is" do
      text = "{ \"z\":1.10, \"a\":12345678901234567890 }"
      expect(wire(:json, text)).to eq([:json, text])
    end

    it "must be text that is UTF-8" do
      expect(refused(:json, "\"\xFF\"")).to eq("field: text is not UTF-8")
    end

    it "is made of what is not text" do
      expect(wire(:json, {"a" => [1, nil]})).to eq([:json, "{\"a\":[1,null]}"])
      expect(wire(:json, [])).to eq([:json, "[]"])
      expect(wire(:json, BigDecimal("1.50"))).to eq([:json, "\"1.5\""])
      expect(refused(:json, Object.new)).to eq("field: an Object is not a value with a wire type")
    end
  end

  describe "lists" do
    it "holds values of its kind, nulls, and nothing else" do
      expect(wire([:list, :integer], [1, nil, 2**64])).to eq([:list, [[:int64, 1], [:null, true], [:decimal, (2**64).to_s]]])
      expect(wire([:list, :string], [])).to eq([:list, []])
      expect(refused([:list, :integer], [1, "2"])).to eq("field: a String is not an integer")
      expect(refused([:list, :integer], 1)).to eq("field: an Integer is not a list")
    end

    it "gives its scale to its decimals" do
      expect(wire([:list, :decimal], [BigDecimal("1.5")], scale: 3)).to eq([:list, [[:decimal, "1.500"]]])
    end

    it "becomes JSON where it holds lists, each value written as it is on its own" do
      expect(wire([:list, :integer], [[1, nil], [2**64]])).to eq([:json, "[[1,null],[\"18446744073709551616\"]]"])
      expect(wire([:list, :decimal], [[BigDecimal("1.5")]], scale: 2)).to eq([:json, "[[\"1.50\"]]"])
      expect(wire([:list, :bytes], [["\xFF\x00".b]])).to eq([:json, "[[\"/wA=\"]]"])
      expect(wire([:list, :date], [[-1]])).to eq([:json, "[[\"1969-12-31\"]]"])
      expect(wire([:list, :time_of_day], [[24_360_123_456_000]])).to eq([:json, "[[\"06:46:00.123456\"]]"])
      expect(wire([:list, :json], [["{\"a\": 1.10}"], nil])).to eq([:json, "[[{\"a\": 1.10}],null]"])
      expect(refused([:list, :integer], [[1, "2"]])).to eq("field: a String is not an integer")
    end

    it "nests where its kind says so" do
      expect(wire([:list, [:list, :bool]], [[true], []])).to eq([:list, [[:list, [[:bool, true]]], [:list, []]]])
    end
  end

  it "sends nil of every kind as null" do
    kinds = %i[bool integer string bytes decimal float date time_of_day timestamp json dynamic] + [[:list, :string]]
    kinds.each { |kind| expect(wire(kind, nil)).to eq([:null, true]) }
  end

  it "keeps sensitive values out of messages" do
    expect(refused(:date, Date.new(12_345, 6, 7), sensitive: true)).to eq("field: *** is outside the years 1 to 9999")
    expect(refused(:time_of_day, -123_456, sensitive: true)).to eq("field: *** is outside a day")
    expect(refused(:decimal, BigDecimal("Infinity"), sensitive: true)).to eq("field: *** is not a decimal")
    expect(refused(:integer, "secret", sensitive: true)).to eq("field: a String is not an integer")
  end
end
