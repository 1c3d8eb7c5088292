# frozen_string_literal: true

module Demo
  module Steps
    # Rows are created, updated, destroyed, one by one and many at once; a transaction is rolled back.
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

      FLEET = 20

      def change_in_bulk
        @fleet_owner = monolith.call(:post, "/owners", {name: "Fleet"}, status: 201).fetch("id")
        FLEET.times { |number| create_vehicle("KA-1#{number}", price: "100.00", owner_id: @fleet_owner) }
        changed = monolith.call(:post, "/vehicles/reprice", {owner_id: @fleet_owner, by: "25.50"}).fetch("changed")
        checks.expect("one statement changed #{FLEET} rows, not #{changed}") { changed == FLEET }
        expect_both_equal
        "#{FLEET} rows by one update_all"
      end

      def fan_out
        monolith.call(:patch, "/owners/#{@fleet_owner}", {name: "Fleet & Sons"})
        expect_both_equal
        "1 row changed, #{FLEET} more published"
      end
    end
  end
end
