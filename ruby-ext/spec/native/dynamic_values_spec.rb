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
    expect(dynamic({})).to eq([:json, "{}"])
  end

  it "writes what stands in JSON as it would stand alone" do
    {true => "true", 2**64 => "\"18446744073709551616\"", 0.1 => "0.1", Float::NAN => "\"NaN\"", BigDecimal("1.50") => "\"1.5\"",
     BigDecimal("1e30") => "\"1#{"0" * 30}\"", "é\"\u2028\u0001</a>" => "\"é\\\"\u2028\\u0001</a>\"", :seven => "\"seven\"",
     Date.new(1500, 2, 28, Date::GREGORIAN) => "\"1500-02-28\"", Time.at(-1, 123_456, :usec) => "\"1969-12-31T23:59:59.123456Z\"",
     Time.at(0, 1, :nsec) => "\"1970-01-01T00:00:00.000000001Z\""}.each do |value, json|
      expect(dynamic([{"v" => value}])).to eq([:json, "[{\"v\":#{json}}]"])
    end
  end

  it "takes the text of whatever is a key" do
    expect(dynamic({a: 1, 7 => 2, nil => 3, "ü" => 4})).to eq([:json, "{\"a\":1,\"7\":2,\"\":3,\"ü\":4}"])
    expect { dynamic({"\xFF" => 1}) }.to raise_error(ReplicatesTo::EncodeError, "field: text is not UTF-8")
  end

  it "goes a hundred levels deep, and no further into what holds itself" do
    nested = 99.times.inject([[]]) { |inner, _| [inner] }
    expect { dynamic(nested) }.to raise_error(ReplicatesTo::EncodeError, "field: is nested more than 100 deep")
    expect(dynamic(nested.first)).to eq([:json, "#{"[" * 100}#{"]" * 100}"])
    endless = {}
    endless["self"] = endless
    expect { dynamic(endless) }.to raise_error(ReplicatesTo::EncodeError, "field: is nested more than 100 deep")
  end

  it "refuses classes that have no wire type" do
    expect { dynamic(1..2) }.to raise_error(ReplicatesTo::EncodeError, "field: a Range is not a value with a wire type")
    expect { dynamic(Object.new) }.to raise_error(ReplicatesTo::EncodeError, "field: an Object is not a value with a wire type")
  end

  it "refuses them inside of JSON too, unless they say what their JSON is" do
    point = Struct.new(:x) { def as_json = {"x" => x} }
    expect(dynamic({"at" => point.new(BigDecimal("1.50"))})).to eq([:json, "{\"at\":{\"x\":\"1.5\"}}"])
    expect { dynamic({"at" => Object.new}) }.to raise_error(ReplicatesTo::EncodeError, "field: an Object is not a value with a wire type")
    expect { dynamic(point.new(1)) }.to raise_error(ReplicatesTo::EncodeError, /is not a value with a wire type/)
  end

  it "tells the class of what was raised while a value was read, and not the message, which may quote it" do
    treacherous = Class.new { def as_json = raise(ArgumentError, "secret") }
    expect { dynamic({"a" => treacherous.new}) }.to raise_error(ReplicatesTo::EncodeError, "field: cannot be read (ArgumentError)")
  end

  it "reads ActiveSupport's times, durations and objects with JSON" do
    expect(Scenario.result("active_support")).to eq(
      "timestamp" => ["timestamp", [1_795_329_960, 123_456_000]], "dynamic" => ["timestamp", [1_795_329_960, 123_456_000]],
      "time_of_day" => ["time_of_day", 24_360_123_456_000], "decimal" => ["decimal", "10.50"],
      "durations" => ["P1DT2H", "PT0S", "P2W", "P1WT1H", "P1M15D", "P-1Y-2M3DT-4H-5M-6.5S", "PT0.000001S", "PT1234567.25S",
                      "PT0.333333333S", "P1.5D", "PT90M"],
      "json" => ["json", "{\"at\":\"2026-11-22T06:46:00.123456Z\",\"price\":\"1.5\",\"for\":\"PT1H\",\"set\":[1,2],\"days\":\"1..2\"}"],
      "any object" => "field: an Object is not a value with a wire type"
    )
  end
end
