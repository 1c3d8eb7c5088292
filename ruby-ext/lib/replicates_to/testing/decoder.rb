# frozen_string_literal: true

require "digest"
require "replicates_to/testing/json_text"
require "replicates_to/testing/protobuf"

module ReplicatesTo
  module Testing
    # Reads an encoded record, after proto/replicates_to/v1/record.proto.
    module Decoder
      OPERATIONS = {1 => "create", 2 => "update", 3 => "delete", 4 => "snapshot"}.freeze

      # One attribute; bytes are the member of the record that it is.
      Field = Struct.new(:name, :value, :sensitive, :volatile, :bytes)

      module_function

      # @param topic [String] which names the destination
      # @param bytes [String]
      # @return [Record]
      def record(topic, bytes)
        members = Protobuf.members(bytes)
        found = members.to_h { |member| [member.number, member.content] }
        fields = members.select { |member| member.number == 9 }.map { |member| field(member) }
        Record.new(
          destination: topic.split(".")[-2], source: text(found[1]), model: text(found[2]), key: text(found[3]),
          operation: OPERATIONS.fetch(found[4]), version: found[5], committed_at: time(found[6]), origin: found[10] && text(found[10]),
          attributes: fields.to_h { |field| [field.name, field.value] }, sensitive: fields.select(&:sensitive).map(&:name),
          content_hash: content_hash(fields)
        )
      end

      def field(member)
        found = Protobuf.members(member.content).to_h { |part| [part.number, part.content] }
        Field.new(text(found[1]), value(found[2]), found.key?(3), found.key?(4), member.raw)
      end
      private_class_method :field

      # @return [String] over what is not volatile, exactly as it stands in the record
      def content_hash(fields)
        Digest::SHA256.hexdigest(fields.reject(&:volatile).map(&:bytes).join)[0, 32]
      end
      private_class_method :content_hash

      # What JSON has a form for is that; what it has none for is the text that stands for it.
      def value(bytes)
        member = Protobuf.members(bytes).first
        held = member.content
        case member.number
        when 1 then nil
        when 2 then held == 1
        when 3 then Protobuf.zigzag(held)
        when 4, 6 then text(held)
        when 5 then [held].pack("m0")
        when 7 then JsonText.timestamp(time(held))
        when 8 then (Date.new(1970, 1, 1, Date::GREGORIAN) + Protobuf.zigzag(held)).strftime("%Y-%m-%d")
        when 9 then JsonText.time_of_day(held)
        when 10 then held.unpack1("E")
        when 11 then JsonText::Verbatim.new(text(held))
        when 12 then Protobuf.members(held).map { |element| value(element.content) }
        else raise Error, "kind #{member.number} of a value is not in the schema"
        end
      end
      private_class_method :value

      def time(bytes)
        found = Protobuf.members(bytes.to_s).to_h { |member| [member.number, member.content] }
        Time.at(Protobuf.signed(found.fetch(1, 0)), found.fetch(2, 0), :nanosecond).utc
      end
      private_class_method :time

      def text(bytes)
        bytes.dup.force_encoding(Encoding::UTF_8)
      end
      private_class_method :text
    end
  end
end
