# frozen_string_literal: true

module ReplicatesTo
  module Testing
    # Takes a protobuf message apart (https://protobuf.dev/programming-guides/encoding), whatever its members mean.
    module Protobuf
      # number of the field, its content (an Integer, or bytes), and the bytes as they stand in the message
      Member = Struct.new(:number, :content, :raw)

      module_function

      # @param bytes [String]
      # @return [Array<Member>] in the order of the message
      def members(bytes)
        at = 0
        found = []
        while at < bytes.bytesize
          tag, start = varint(bytes, at)
          content, finish = content(bytes, start, tag & 7)
          found << Member.new(tag >> 3, content, bytes.byteslice(at...finish))
          at = finish
        end
        found
      end

      # @param value [Integer] of a varint
      # @return [Integer] that an int64 means
      def signed(value)
        value >= 1 << 63 ? value - (1 << 64) : value
      end

      # @param value [Integer] of a varint
      # @return [Integer] that a sint64 means
      def zigzag(value)
        (value >> 1) ^ -(value & 1)
      end

      def content(bytes, at, wire_type)
        case wire_type
        when 0 then varint(bytes, at)
        when 1 then [bytes.byteslice(at, 8), at + 8]
        when 2
          length, start = varint(bytes, at)
          [bytes.byteslice(start, length), start + length]
        else raise Error, "wire type #{wire_type} is not in the schema"
        end
      end
      private_class_method :content

      def varint(bytes, at)
        value = shift = 0
        loop do
          byte = bytes.getbyte(at)
          at += 1
          value |= (byte & 0x7f) << shift
          return [value, at] if byte < 0x80

          shift += 7
        end
      end
      private_class_method :varint
    end
  end
end
