# frozen_string_literal: true

module Demo
  module Steps
    # What was there before: rows older than the gem, and the log of all requests.
    module History
      OLDER_ROWS = 10_000
      # Billing takes a hundred or more a second on a slow machine; looking is dear with so many rows.
      WHILE_BILLING_WORKS = {within: 300, every: 1}.freeze

      def backfill_during_changes
        stack.monolith.rake("db:seed", env: {"SEED_ROWS" => OLDER_ROWS.to_s})
        older = stack.source.rows("select min(id), max(id) from vehicles where vin like 'SEED%'")
        first, last = older.first.map(&:to_i)
        checks.expect("none of them is in billing") { stack.comparison.cars_count < OLDER_ROWS }

        changes = during(-> { change_some(first, last) }) { stack.monolith.rake("replicates_to:backfill[Vehicle,billing]") }
        expect_both_equal(**WHILE_BILLING_WORKS)
        checks.expect("the seeded rows are in billing") { stack.comparison.cars_count >= OLDER_ROWS }
        "#{OLDER_ROWS} rows, #{changes} changes meanwhile"
      end

      def read_the_log
        attempts = stack.relay.tail("--destination", "billing")
        needed = %w[destination key version operation outcome]
        checks.expect("tail shows the last 10 attempts") { attempts.size == 10 }
        checks.expect("each says #{needed.join(', ')}") { attempts.all? { |attempt| (needed - attempt.compact.keys).empty? } }
        outcomes = stack.relay.attempts_by_outcome
        checks.expect("all deliveries are counted, not #{outcomes}") { outcomes["delivered"] >= OLDER_ROWS }
        checks.expect("so is what was rejected") { stack.relay_expendable? || outcomes["rejected"] == 1 }
        outcomes.map { |outcome, count| "#{count} #{outcome}" }.join(", ")
      end

      private

      # Runs the work again and again in a thread until the block is done.
      # @return [Integer] how often
      def during(work)
        done = false
        thread = Thread.new do
          Thread.current.report_on_exception = false # its value raises
          rounds = 0
          rounds += work.call until done
          rounds
        end
        yield
        done = true
        thread.value
      ensure
        done = true
        thread&.join
      end

      # @return [Integer] changes made
      def change_some(first, last)
        update_vehicle(rand(first..last), price: format("%.2f", rand(1.0..9_999.0)))
        id = create_vehicle("KA-#{rand(100..999)}")
        monolith.call(:delete, "/vehicles/#{id}", status: 204)
        3
      end
    end
  end
end
