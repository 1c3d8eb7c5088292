# frozen_string_literal: true

module Demo
  module Steps
    # Something is away or killed while rows change.
    module Outages
      # Collecting records for so long keeps them from being acknowledged until the process is killed.
      LONG_LINGER = {"MONOLITH_LINGER_MS" => "600000"}.freeze

      def hold_while_billing_is_down
        @cars = Array.new(10) { |number| create_vehicle("KA-2#{number}", price: "100.00") }
        expect_both_equal
        stack.billing.stop

        @cars.first(6).each { |id| update_vehicle(id, price: "200.00") }
        @cars.last(2).each { |id| monolith.call(:delete, "/vehicles/#{id}", status: 204) }
        3.times { |number| create_vehicle("KA-3#{number}") }
        checks.eventually("Kafka has all changes") { stack.outbox_rows.zero? }
        checks.eventually("the relay says that it holds billing") { stack.relay.destination("billing")["state"] != "active" }
        checks.expect("the two databases differ meanwhile") { stack.comparison.difference }
        "11 changes wait"
      end

      def deliver_what_was_held
        stack.billing.start
        expect_both_equal
        checks.eventually("nothing is left undelivered") { stack.relay.failures("--destination", "billing").empty? }
      end

      def kill_the_monolith
        stack.monolith.stop
        stack.monolith.start(env: LONG_LINGER)
        create_vehicle("KA-40", price: "400.00")
        update_vehicle(@cars.first, price: "401.00")
        stack.monolith.kill
        waiting = stack.outbox_rows
        checks.expect("both changes are committed and not acknowledged, not #{waiting}") { waiting == 2 }
        checks.expect("billing has not seen them") { stack.comparison.difference }

        stack.monolith.start
        expect_both_equal
        checks.eventually("nothing waits any more") { stack.outbox_rows.zero? }
        "2 changes swept"
      end

      def kill_the_relay
        changes = 0
        3.times do |round|
          40.times { |number| update_vehicle(@cars[number % 8], price: "#{round}#{number}.00") && changes += 1 }
          stack.relay.kill
          20.times { |number| update_vehicle(@cars[number % 8], price: "5#{round}#{number}.00") && changes += 1 }
          stack.relay.start
        end
        expect_both_equal
        "3 times during #{changes} changes"
      end
    end
  end
end
