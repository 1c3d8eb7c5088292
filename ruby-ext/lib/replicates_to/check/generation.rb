# frozen_string_literal: true

module ReplicatesTo
  class Check
    # The generation of a database's versions, and whether the database is still the one that it belongs to.
    class Generation
      GUIDE = "see docs/guides/failover.md"
      # So many left are worth a thought.
      LEFT_MIN = 3

      # @param findings [Findings]
      # @param subject [String] of its lines
      def initialize(findings, subject)
        @findings = findings
        @subject = subject
      end

      # @param identity [Outbox::Identity]
      # @return [void]
      def run(identity)
        found = identity.examine
        found.reasons.any? ? changed(found) : unchanged(found)
      rescue ConfigurationError => e
        @findings.fail(@subject, e.message)
      end

      private

      def changed(found)
        reasons = found.reasons.join(", ")
        return @findings.fail(@subject, "#{found.generation} is the last one, and #{reasons}: #{GUIDE}") if left(found).zero?

        @findings.warn(@subject, "#{found.generation} becomes #{found.generation + 1} with the next record, for #{reasons}")
      end

      def unchanged(found)
        text = describe(found)
        if found.unreadable.any?
          @findings.warn(@subject, "#{text}, but this user may not read the #{found.unreadable.join(' and the ')}: #{GUIDE}")
        elsif left(found) < LEFT_MIN
          @findings.warn(@subject, "#{text}, and the last is #{Outbox::Identity::GENERATION_MAX}: #{GUIDE}")
        else
          @findings.ok(@subject, text)
        end
      end

      # The sequence's identity says nothing to anybody.
      def describe(found)
        parts = found.parts.except("sequence").map { |name, value| "#{name} #{value}" }
        parts.any? ? "#{found.generation} (#{parts.join(', ')})" : found.generation.to_s
      end

      def left(found)
        Outbox::Identity::GENERATION_MAX - found.generation
      end
    end
  end
end
