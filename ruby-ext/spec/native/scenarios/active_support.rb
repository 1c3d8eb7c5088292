# frozen_string_literal: true

# Values of ActiveSupport's classes, which pretend to be others. Prints what they become.

require_relative "../native_helper"
require "stringio"
require "active_support/all"

extend NativeHelper

zoned = Time.at(1_795_329_960, 123_456).in_time_zone("Tokyo")
durations = [
  1.day + 2.hours, 0.seconds, 2.weeks, 1.week + 1.hour, 1.month + 2.weeks + 1.day,
  -1.year - 2.months + 3.days - 4.hours - 5.minutes - 6.5.seconds, 0.000001.seconds, 1_234_567.25.seconds,
  ActiveSupport::Duration.new(Rational(1, 3), {seconds: Rational(1, 3)}), 1.5.days, 90.minutes
]
refusal = begin
  wire(:dynamic, {object: Object.new})
rescue ReplicatesTo::EncodeError => e
  e.message
end
puts JSON.generate(
  timestamp: wire(:timestamp, zoned),
  dynamic: wire(:dynamic, zoned),
  time_of_day: wire(:time_of_day, zoned),
  durations: durations.map { |duration| wire(:dynamic, duration).last },
  decimal: wire(:decimal, BigDecimal("10.5"), scale: 2),
  json: wire(:dynamic, {at: zoned, price: BigDecimal("1.5"), for: 1.hour, set: Set[1, 2], days: 1..2}),
  "any object": refusal
)
