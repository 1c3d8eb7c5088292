# frozen_string_literal: true

# Values of ActiveSupport's classes, which pretend to be others. Prints what they become.

require_relative "../native_helper"
require "stringio"
require "active_support/all"

extend NativeHelper

zoned = Time.at(1_795_329_960, 123_456).in_time_zone("Tokyo")
puts JSON.generate(
  timestamp: wire(:timestamp, zoned),
  dynamic: wire(:dynamic, zoned),
  time_of_day: wire(:time_of_day, zoned),
  duration: wire(:dynamic, 1.day + 2.hours),
  decimal: wire(:decimal, BigDecimal("10.5"), scale: 2),
  json: wire(:dynamic, {at: zoned, price: BigDecimal("1.5")})
)
