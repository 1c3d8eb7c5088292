# frozen_string_literal: true

# Reads a protobuf Value back, just far enough for the specs.
module DecodedValue
  KINDS = %i[null bool int64 string bytes decimal timestamp date time_of_day double json list].freeze

  # @return [Array] kind and value of the one field of a record
  def self.of_only_field(record)
    field = members(record).fetch(9)
    of(members(field).fetch(2))
  end

  def self.of(bytes)
    members(bytes, values: true).map { |number, held| [KINDS.fetch(number - 1), held] }.then do |found|
      kind, held = found.fetch(0)
      [kind, read(kind, held)]
    end
  end

  def self.read(kind, held)
    case kind
    when :null, :bool then held == 1
    when :int64, :date then (held >> 1) ^ -(held & 1)
    when :string, :decimal, :json then held.dup.force_encoding("UTF-8")
    when :double then held.unpack1("E")
    when :timestamp then timestamp(held)
    when :list then elements(held)
    else held
    end
  end

  def self.timestamp(bytes)
    held = members(bytes)
    seconds = held.fetch(1, 0)
    [seconds >= 2**63 ? seconds - 2**64 : seconds, held.fetch(2, 0)]
  end

  def self.elements(bytes)
    members(bytes, values: true).map { |_number, value| of(value) }
  end

  # Members of a message by their number, or all of them in order.
  def self.members(bytes, values: false)
    reader = StringIO.new(bytes)
    found = []
    until reader.eof?
      tag = varint(reader)
      found << [tag >> 3, content(reader, tag & 7)]
    end
    values ? found : found.to_h
  end

  def self.content(reader, wire_type)
    case wire_type
    when 0 then varint(reader)
    when 1 then reader.read(8)
    when 2
      length = varint(reader)
      length.zero? ? "".b : reader.read(length)
    end
  end

  def self.varint(reader)
    value = shift = 0
    loop do
      byte = reader.readbyte
      value |= (byte & 0x7f) << shift
      return value if byte < 0x80

      shift += 7
    end
  end

  private_class_method :read, :timestamp, :elements, :members, :content, :varint
end
