# frozen_string_literal: true

module Demo
  module Steps
    # The database notes what changed, whoever changed it.
    module Triggers
      COVERAGE = {"REPLICATES_TO_COVERAGE" => "triggers"}.freeze

      # The monolith goes on in this way for the steps that follow.
      def change_by_hand
        stack.monolith.stop
        stack.monolith.configure(COVERAGE)
        stack.monolith.migrate
        stack.monolith.rake("replicates_to:check")
        stack.monolith.start

        owner = monolith.call(:post, "/owners", {name: "By hand"}, status: 201).fetch("id")
        ids = Array.new(3) { |number| create_vehicle("KA-6#{number}", price: "60.00", owner_id: owner) }
        expect_both_equal
        stack.source.execute("update vehicles set price = 61 where id in (#{ids.join(', ')})")
        stack.source.execute("update owners set name = 'By hand, renamed' where id = #{owner}")
        stack.source.execute("delete from vehicles where id = #{ids.last}")
        expect_both_equal
        "5 changes by 3 statements of SQL"
      end
    end
  end
end
