# frozen_string_literal: true

module ReplicatesTo
  module Receiver
    # The row of this application's table that mirrors one key of the source.
    class Row
      # A key or a value that the column cannot hold. The message never has the value.
      class Misfit < Error; end

      # @param target [Class] model
      # @param column [String] which holds the record's key
      # @param key [String]
      # @return [Row] locked when it exists: a change made by this application between our read and our save would
      #   otherwise pass unseen and stay
      # @raise [Misfit]
      def self.find_or_build(target, column:, key:)
        value = target.type_for_attribute(column).cast(key)
        # An integer column reads "abc" as 0, and what does not fit a uuid as nil: both would find a foreign row.
        if value.nil? || (value.is_a?(Integer) && value.to_s != key)
          raise Misfit, "key #{key.inspect} does not fit #{target.table_name}.#{column}"
        end

        # Unscoped: a default scope would hide the row, and a second one would be built.
        new(target.unscoped.lock.find_or_initialize_by(column => value), column)
      end

      def initialize(row, key_column)
        @row = row
        @key_column = key_column
      end

      # @param attributes [Hash{String => Object}] by column
      # @param renamed [Array<String>] columns which the declaration names
      # @return [Array<String>] those which the model does not have
      # @raise [Misfit]
      def assign(attributes, renamed:)
        mine = [@key_column]
        # The source's id is not this table's id, unless the declaration says so.
        mine << @row.class.primary_key unless renamed.include?(@row.class.primary_key)

        attributes.except(*mine).filter_map do |name, value|
          next name unless attribute?(name)

          write(name, value)
          nil
        end
      end

      # @raise [ActiveRecord::RecordInvalid, ActiveRecord::RecordNotSaved]
      def save!
        @row.save!
      end

      # @raise [ActiveRecord::RecordNotDestroyed]
      def destroy!
        @row.destroy! if @row.persisted?
      end

      private

      # A column, an alias or a writer of the application; neither an association (it does not take plain values) nor
      # a writer that every model has (`attributes=`).
      def attribute?(name)
        writer = "#{name}="
        return true if @row.has_attribute?(name)

        @row.respond_to?(writer) && !ActiveRecord::Base.method_defined?(writer) &&
          @row.class.reflect_on_association(name).nil?
      end

      def write(name, value)
        @row.public_send("#{name}=", binary?(name) ? value&.unpack1("m0") : value)
      rescue ArgumentError, ActiveModel::RangeError
        # What an enum does not know, or is no base64. The error's own message would quote the value.
        raise Misfit, "#{name} has a value that #{@row.class.name} does not take"
      end

      # Bytes travel as base64 in JSON.
      def binary?(name)
        @row.class.type_for_attribute(name).type == :binary
      end
    end
  end
end
