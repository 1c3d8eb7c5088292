# frozen_string_literal: true

module ReplicatesTo
  module Receiver
    # Whose fault an exception is, in the words of the response contract. It decides whether the relay waits for a
    # person (422), tries the record again (409, 424, 500), or holds the whole destination (503).
    module Refusal
      class << self
        # @param error [StandardError]
        # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter, nil]
        # @return [Outcome]
        def of(error, connection:)
          case error
          when ActiveRecord::ConnectionNotEstablished, ActiveRecord::NoDatabaseError
            Outcome.new(:unavailable, message: "the database cannot be reached")
          else of_another_row(error) || of_record(error) || of_server(error, connection)
          end
        end

        private

        # Order between rows is not promised: children may arrive before parents, a parent's delete before its
        # children's, a unique value before its former holder has let it go. True now, false in a moment.
        def of_another_row(error)
          case error
          when ActiveRecord::InvalidForeignKey, ActiveRecord::DeleteRestrictionError
            Outcome.new(:failed_dependency, message: first_line(error))
          when ActiveRecord::RecordNotUnique, ActiveRecord::TransactionRollbackError
            Outcome.new(:conflict, message: first_line(error))
          end
        end

        def of_record(error)
          case error
          when ActiveRecord::RecordInvalid, ActiveRecord::RecordNotDestroyed, ActiveRecord::RecordNotSaved
            code = waits_for_another_row?(error.record) ? :failed_dependency : :invalid_record
            Outcome.new(code, message: error.message)
          when Row::Misfit then Outcome.new(:invalid_record, message: error.message)
          when ActiveRecord::NotNullViolation, ActiveRecord::ValueTooLong
            Outcome.new(:invalid_record, message: first_line(error))
          when ActiveModel::RangeError, ActiveRecord::RangeError
            Outcome.new(:invalid_record, message: "a number is out of its column's range")
          when ArgumentError
            # What the pg driver says to U+0000, which SQLite sources can hold and no PostgreSQL text can.
            Outcome.new(:invalid_record, message: "a text has a null byte") if error.message.include?("null byte")
          end
        end

        # A connection that broke in the middle of a statement raises errors of many kinds; the connection itself
        # knows whether it is alive. The message of an unknown error may quote values, so it stays in our own log.
        def of_server(error, connection)
          if error.is_a?(ActiveRecord::StatementInvalid) && connection && !connection.active?
            return Outcome.new(:unavailable, message: "the database went away")
          end

          Outcome.new(:internal_error, message: error.class.name)
        end

        def waits_for_another_row?(record)
          return false unless record

          record.errors.any? do |error|
            association = record.class.reflect_on_association(error.attribute)
            (association&.belongs_to? && error.type == :blank) || error.type.to_s.start_with?("restrict_dependent")
          end
        end

        # The lines after the first quote the row ("DETAIL: Failing row contains …"), sensitive values included.
        def first_line(error)
          error.message.lines.first.to_s.strip
        end
      end
    end
  end
end
