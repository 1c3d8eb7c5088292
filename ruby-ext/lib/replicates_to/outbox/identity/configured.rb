# frozen_string_literal: true

module ReplicatesTo
  module Outbox
    class Identity
      # Of tests: records that stay in the process end with it, so nothing can go back; and a test's transaction would hold
      # the row of the identity to its end.
      class Configured < Identity
        # @return [String] SQL
        def generation
          lowest.to_s
        end

        # @return [Finding]
        def examine
          Finding.new(lowest, {}, [], [])
        end
      end
    end
  end
end
