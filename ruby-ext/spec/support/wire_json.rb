# frozen_string_literal: true

require_relative "wire"

# The values of a record as its bytes say them: the kind that was chosen, and the JSON that the relay makes of it. Read
# without the gem's own code.
module WireJson
  KINDS = %w[null bool int64 string bytes decimal timestamp date time_of_day double json list].freeze
  ESCAPES = {"\"" => "\\\"", "\\" => "\\\\", "\n" => "\\n", "\r" => "\\r", "\t" => "\\t", "\b" => "\\b", "\f" => "\\f"}.freeze

  module_function

  # @return [Hash{String => String}] `decimal "10.50"` by the attribute's name
  def attributes(record)
    attributes = {}
    Wire.each_field(record) do |number, field|
      next unless number == 9

      members = Wire.to_enum(:each_field, field).to_h
      kind, json = value(members.fetch(2))
      attributes[Wire.text(members.fetch(1))] = kind == "null" ? kind : "#{kind} #{json}"
    end
    attributes
  end

  def value(bytes)
    number, content = Wire.to_enum(:each_field, bytes).first
    kind = KINDS.fetch(number - 1)
    [kind, json(kind, content)]
  end

  def json(kind, content)
    case kind
    when "null" then "null"
    when "bool" then (content == 1).to_s
    when "int64" then Wire.zigzag(content).to_s
    when "string", "decimal" then quoted(Wire.text(content))
    when "bytes" then quoted([content].pack("m0"))
    when "date" then quoted((Date.new(1970, 1, 1, Date::GREGORIAN) + Wire.zigzag(content)).iso8601)
    when "time_of_day" then quoted(clock(Time.at(0, content, :nsec, in: "UTC")))
    when "timestamp" then quoted(Wire.timestamp(content).then { |time| "#{time.strftime("%Y-%m-%d")}T#{clock(time)}Z" })
    when "double" then double(content.unpack1("E"))
    when "json" then Wire.text(content)
    when "list" then list(content)
    end
  end

  def list(bytes)
    items = Wire.to_enum(:each_field, bytes).map { |_, item| value(item) }
    kinds = items.map(&:first).uniq - ["null"]
    raise "a list of #{kinds.join(" and ")}" if kinds.size > 1

    "[#{items.map(&:last).join(",")}]"
  end

  # The fewest digits that read back as the same double, in the notation of Rust's ryu.
  def double(number)
    return quoted(number.to_s) unless number.finite?
    return number.to_s if number.zero?

    sign, digits, _, point = BigDecimal(number.to_s).split
    "#{"-" if sign.negative?}#{notation(digits, point)}"
  end

  def notation(digits, point)
    if (1..16).cover?(point)
      digits = digits.ljust(point, "0")
      "#{digits[0, point]}.#{digits.length > point ? digits[point..] : "0"}"
    elsif (-4..0).cover?(point)
      "0.#{"0" * -point}#{digits}"
    else
      "#{digits[0]}#{".#{digits[1..]}" if digits.length > 1}e#{point - 1}"
    end
  end

  def clock(time)
    time.strftime("%H:%M:%S.#{time.nsec % 1000 == 0 ? "%6N" : "%9N"}")
  end

  def quoted(text)
    "\"#{text.gsub(/["\\\u0000-\u001f]/) { |character| ESCAPES.fetch(character) { format('\\u%04x', character.ord) } }}\""
  end
end
