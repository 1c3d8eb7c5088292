# frozen_string_literal: true

module ReplicatesTo
  class Mapping
    # One named value of a record.
    Field = Struct.new(:name, :kind, :scale, :sensitive, :volatile, :computed, :read, keyword_init: true) do
      # @return [Object] the value of a row, in the form that the extension takes for this kind
      # @raise [EncodeError] naming the field, and its value unless that is sensitive; what a compute raises is its own
      def value(record)
        read.call(record)
      rescue ActiveRecord::StatementInvalid
        raise
      rescue StandardError => e
        # Whatever went wrong, its message may quote the value.
        raise EncodeError, "#{name}: the value cannot be read or encoded", cause: nil if sensitive
        raise if computed && !e.is_a?(EncodeError)

        raise EncodeError, "#{name}: #{e.is_a?(EncodeError) ? e.message.delete_prefix("#{name}: ") : "#{e.class}: #{e.message}"}"
      end

      # @return [String] what the fingerprint is taken over
      def signature
        [name, Array(kind).join(" of "), scale, sensitive && "sensitive", volatile && "volatile"].join("\0")
      end

      # @return [Array] as Native::Schema takes it
      def to_native
        [name, kind, scale, sensitive, volatile]
      end
    end
  end
end
