# frozen_string_literal: true

module ReplicatesTo
  module Testing
    # What a failed expectation tells: which record came nearest, and where it is otherwise.
    module Difference
      SHOWN_MAX = 10

      module_function

      # @param expectation [Expectation]
      # @param records [Array<Record>] published, none of which meets it
      # @return [String]
      def missing(expectation, records)
        return "expected #{expectation} to be published, but nothing was" if records.empty?

        nearest = expectation.nearest(records)
        ["expected #{expectation} to be published; the nearest of #{count(records)} is #{nearest}, version #{nearest.version}",
         *operation(expectation, nearest), *attributes(expectation, nearest), *list("published", records - [nearest])].join("\n")
      end

      # @param what [String] that was not to be published
      # @param records [Array<Record>] that were
      # @return [String]
      def unexpected(what, records)
        ["expected #{what} not to be published", *list("published", records)].join("\n")
      end

      def operation(expectation, record)
        return [] if expectation.operation.nil? || expectation.operation == record.operation

        ["-operation: #{expectation.operation}", "+operation: #{record.operation}"]
      end
      private_class_method :operation

      def attributes(expectation, record)
        otherwise = expectation.disagreements(record)
        expectation.attributes.flat_map do |name, expected|
          next [" #{name}: #{shown(expected)}"] unless otherwise.include?(name)

          ["-#{name}: #{shown(expected)}",
           record.attributes.key?(name) ? "+#{name}: #{shown(record.attributes[name])}" : "+#{name} is not in it"]
        end
      end
      private_class_method :attributes

      def list(what, records)
        lines = records.first(SHOWN_MAX).map { |record| "  #{what}: #{record}" }
        lines << "  and #{records.size - SHOWN_MAX} more" if records.size > SHOWN_MAX
        lines
      end
      private_class_method :list

      # Matchers say what they are.
      def shown(value)
        value.respond_to?(:description) && value.respond_to?(:matches?) ? value.description : value.inspect
      end
      private_class_method :shown

      def count(records)
        records.one? ? "1 record" : "#{records.size} records"
      end
      private_class_method :count
    end
  end
end
