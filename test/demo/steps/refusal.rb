# frozen_string_literal: true

module Demo
  module Steps
    # A record that the consumer refuses waits for a person.
    module Refusal
      ABOVE_THE_LIMIT = "2000000.00"
      HIGHER_LIMIT = "3000000"

      def find_the_refused
        key = create_vehicle("KA-50", price: ABOVE_THE_LIMIT).to_s
        neighbour = create_vehicle("KA-51", price: "51.00").to_s
        @refused = checks.eventually("the failure is listed") do
          stack.relay.failures("--destination", "billing", "--model", "Vehicle").find { |failure| failure["key"] == key }
        end
        state = @refused.values_at("state", "last_status", "attempts")
        checks.expect("it is rejected after one answer of 422, not #{state}") { state == ["rejected", 422, 1] }
        checks.eventually("its neighbour passes") { stack.replica.rows(<<~SQL).any? }
          select 1 from cars where external_id = #{neighbour}
        SQL
        @refused["id"]
      end

      def retry_the_refused
        stack.billing.http.call(:patch, "/setting", {price_max: HIGHER_LIMIT})
        stack.relay.retry(@refused.fetch("id"))
        expect_both_equal
        checks.eventually("no failure is left") { stack.relay.failures("--destination", "billing").empty? }
      end
    end
  end
end
