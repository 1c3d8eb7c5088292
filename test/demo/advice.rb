# frozen_string_literal: true

module Demo
  # Where to go on by hand while the stack is running.
  module Advice
    # @param stack [Stack::Base] started
    # @return [String]
    def self.for(stack)
      <<~TEXT
        monolith  #{stack.monolith.http.url}
        billing   #{stack.billing.http.url}
        relay     #{stack.relay.http.url}/readyz  /metrics  /api/v1/destinations

        Change a row, and look at billing:
          curl -X POST #{stack.monolith.http.url}/vehicles -H 'content-type: application/json' -d '{"plate":"KA-07","price":"9900.00"}'
        Let billing refuse one, find it, mend billing, send it again:
          curl -X POST #{stack.monolith.http.url}/vehicles -H 'content-type: application/json' -d '{"plate":"KA-08","price":"5000000.00"}'
          bin/relay failures --url #{stack.relay.http.url}
          curl -X PATCH #{stack.billing.http.url}/setting -H 'content-type: application/json' -d '{"price_max":"9000000"}'
          bin/relay retry ID --url #{stack.relay.http.url}
        See the last requests:
          bin/relay tail --url #{stack.relay.http.url}
      TEXT
    end
  end
end
