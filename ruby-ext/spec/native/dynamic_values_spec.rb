# frozen_string_literal: true

require "stringio"
require_relative "native_helper"

RSpec.describe "Values whose class decides", :native do
  def dynamic(value)
    wire(:dynamic, value)
  end

  {nil => [:null, true], true => [:bool, true], 7 => [:int64, 7], 2**64 => [:decimal, (2**64).to_s], 7.5 => [:double, 7.5],
   BigDecimal("1.50") => [:decimal, "1.5"], "seven" => [:string, "seven"], :seven => [:string, "seven"],
   Date.new(1970, 1, 2) => [:date, 1], Time.at(7) => [:timestamp, [7, 0]], DateTime.new(1970, 1, 1, 0, 0, 7) => [:timestamp, [7, 0]]}
    .each do |value, expected|
    it("sends #{value.inspect} as #{expected.first}") { expect(dynamic(value)).to eq(expected) }
  end

  it "sends an array of scalars as a list, each by its own class" do
    expect(dynamic([1, "a", nil, 1.5])).to eq([:list, [[:int64, 1], [:string, "a"], [:null, true], [:double, 1.5]]])
  end

  it "sends anything that holds a Hash, and arrays in arrays, as JSON" do
    expect(dynamic({"b" => 1, "a" => [nil]})).to eq([:json, "{\"b\":1,\"a\":[null]}"])
    expect(dynamic([{"a" => 1}])).to eq([:json, "[{\"a\":1}]"])
    expect(dynamic([[1], [2]])).to eq([:json, "[[1],[2]]"])
  end

  it "refuses classes that have no wire type" do
    expect { dynamic(1..2) }.to raise_error(ReplicatesTo::EncodeError, "field: a Range is not a value with a wire type")
    expect { dynamic(Object.new) }.to raise_error(ReplicatesTo::EncodeError, "field: an Object is not a value with a wire type")
  end

  it "tells the class of what was raised while a value was read, and not the message, which may quote it" do
    treacherous = {"a" => Float::NAN}
    expect { dynamic(treacherous) }.to raise_error(ReplicatesTo::EncodeError, "field: cannot be read (JSON::GeneratorError)")
  end

  it "reads ActiveSupport's times, durations and JSON" do
    expect(Scenario.result("active_support")).to eq(
      "timestamp" => ["timestamp", [1_795_329_960, 123_456_000]], "dynamic" => ["timestamp", [1_795_329_960, 123_456_000]],
      "time_of_day" => ["time_of_day", 24_360_123_456_000], "duration" => ["string", "P1DT2H"], "decimal" => ["decimal", "10.50"],
      "json" => ["json", "{\"at\":\"2026-11-22T15:46:00.123+09:00\",\"price\":\"1.5\"}"]
    )
  end
end
