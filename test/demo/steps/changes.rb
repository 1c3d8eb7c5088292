# frozen_string_literal: true

module Demo
  module Steps
    # Rows are created, updated, destroyed; a transaction is rolled back.
    module Changes
      def create
        owner = monolith.call(:post, "/owners", {name: "Ada", email: "ada@example.org"}, status: 201).fetch("id")
        @driver = monolith.call(:post, "/drivers", {name: "Bo"}, status: 201).fetch("id")
        @owner = owner
        @vehicle = create_vehicle("KA-01", vin: "W1", price: "10000.50", built_on: "2019-05-04", owner_id: owner)
        expect_both_equal
        checks.expect("billing has the car") { stack.comparison.cars_count == 1 }
      end

      def update
        update_vehicle(@vehicle, plate: "KA-02", price: "9500.25")
        monolith.call(:patch, "/owners/#{@owner}", {name: "Ada L."})
        expect_both_equal
      end

      def destroy
        monolith.call(:delete, "/vehicles/#{@vehicle}", status: 204)
        monolith.call(:delete, "/drivers/#{@driver}", status: 204)
        expect_both_equal
        checks.expect("billing has no car") { stack.comparison.cars_count.zero? }
      end

      # The record of a later change has come through when billing holds it: what had been published before it, and
      # should not have been, would be there as well.
      def roll_back
        rows = [{plate: "KA-10"}, {plate: "KA-11"}, {plate: ""}]
        monolith.call(:post, "/vehicles/import", {vehicles: rows}, status: 422)
        checks.expect("nothing is noted for publishing") { stack.outbox_rows.zero? }
        later = create_vehicle("KA-12")
        expect_both_equal
        checks.expect("billing has only the later car") { stack.comparison.cars_count == 1 }
        foreign = stack.relay.tail.reject { |attempt| attempt["model"] != "Vehicle" || [@vehicle, later].include?(attempt["key"].to_i) }
        checks.expect("no request was made for a row that was rolled back") { foreign.empty? }
      end
    end
  end
end
