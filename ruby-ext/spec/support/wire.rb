# frozen_string_literal: true

require "stringio"

# Reads records off the wire without the gem's own encoder, after proto/replicates_to/v1/record.proto.
module Wire
  OPERATIONS = {1 => "create", 2 => "update", 3 => "delete", 4 => "snapshot"}.freeze

  Record = Struct.new(:source, :model, :key, :operation, :version, :committed_at, :fingerprint, :run_id, :attributes, :sensitive,
                      :volatile, :origin, :partition_number, :offset, keyword_init: true)

  module_function

  def record(bytes)
    record = Record.new(attributes: {}, sensitive: [], volatile: [], origin: "")
    each_field(bytes) do |number, value|
      case number
      when 1 then record.source = text(value)
      when 2 then record.model = text(value)
      when 3 then record.key = text(value)
      when 4 then record.operation = OPERATIONS.fetch(value)
      when 5 then record.version = value
      when 6 then record.committed_at = timestamp(value)
      when 7 then record.fingerprint = value.unpack1("Q<")
      when 8 then record.run_id = text(value)
      when 9 then field(record, value)
      when 10 then record.origin = text(value)
      else raise "unknown field #{number} of Record"
      end
    end
    record
  end

  def field(record, bytes)
    name = value = nil
    marks = []
    each_field(bytes) do |number, content|
      case number
      when 1 then name = text(content)
      when 2 then value = value_of(content)
      when 3 then marks << record.sensitive
      when 4 then marks << record.volatile
      end
    end
    record.attributes[name] = value
    marks.each { |marked| marked << name }
  end

  def value_of(bytes)
    number, content = to_enum(:each_field, bytes).first
    case number
    when 1 then nil
    when 2 then content == 1
    when 3 then zigzag(content)
    when 4, 6 then text(content)
    when 5, 9 then content
    when 7 then timestamp(content)
    when 8 then Date.new(1970, 1, 1, Date::GREGORIAN) + zigzag(content)
    when 10 then content.unpack1("E")
    when 11 then JSON.parse(content)
    when 12 then list(content)
    else raise "unknown kind #{number} of Value"
    end
  end

  def list(bytes)
    values = []
    each_field(bytes) { |_, content| values << value_of(content) }
    values
  end

  def timestamp(bytes)
    seconds = nanoseconds = 0
    each_field(bytes) do |number, value|
      number == 1 ? seconds = signed(value) : nanoseconds = value
    end
    Time.at(seconds, nanoseconds, :nanosecond).utc
  end

  def each_field(bytes)
    io = StringIO.new(bytes)
    until io.eof?
      tag = varint(io)
      yield tag >> 3, content(io, tag & 7)
    end
  end

  def content(io, type)
    case type
    when 0 then varint(io)
    when 1 then io.read(8)
    when 2 then io.read(varint(io)) || "".b
    else raise "unknown wire type #{type}"
    end
  end

  def varint(io)
    value = shift = 0
    loop do
      byte = io.readbyte
      value |= (byte & 0x7f) << shift
      return value if byte < 0x80

      shift += 7
    end
  end

  def zigzag(value)
    (value >> 1) ^ -(value & 1)
  end

  def signed(value)
    value >= 1 << 63 ? value - (1 << 64) : value
  end

  def text(bytes)
    bytes.dup.force_encoding(Encoding::UTF_8)
  end
end
