# frozen_string_literal: true

module ReplicatesTo
  class Check
    # The lines of a check, and how many of them are bad.
    class Findings
      SUBJECT_WIDTH = 18

      # @param out [IO]
      def initialize(out, json: false)
        @out = out
        @json = json
        @problems = @warnings = 0
      end

      # @return [void]
      def ok(subject, message)
        line("ok", subject, message)
      end

      # @return [void]
      def warn(subject, message)
        @warnings += 1
        line("warn", subject, message)
      end

      # @return [void]
      def fail(subject, message)
        @problems += 1
        line("FAIL", subject, message)
      end

      # @return [Boolean] whether nothing is wrong
      def summarise
        if @json
          @out.puts JSON.generate(problems: @problems, warnings: @warnings)
        else
          @out.puts "#{count(@problems, 'problem')}, #{count(@warnings, 'warning')}"
        end
        @problems.zero?
      end

      private

      def line(status, subject, message)
        message = message.strip.gsub(/\s*\n\s*/, " ")
        return @out.puts(JSON.generate(status: status, subject: subject, message: message)) if @json

        @out.puts "#{status.ljust(4)}  #{subject.ljust(SUBJECT_WIDTH)}  #{message}"
      end

      def count(number, noun)
        "#{number} #{noun}#{'s' unless number == 1}"
      end
    end
  end
end
