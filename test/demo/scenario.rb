# frozen_string_literal: true

require_relative "steps/changes"
require_relative "steps/outages"
require_relative "steps/refusal"
require_relative "steps/history"
require_relative "steps/triggers"

module Demo
  # The story the demo tells, in its order. Each step leaves both databases equal.
  class Scenario
    include Steps::Changes
    include Steps::Outages
    include Steps::Refusal
    include Steps::History
    include Steps::Triggers

    # @param stack [Stack::Base] started
    # @param checks [Checks]
    def initialize(stack, checks)
      @stack = stack
      @checks = checks
    end

    def play
      step("create: a vehicle, its owner and a driver reach billing, each in billing's own shape") { create }
      step("update: two changes of one transaction are there, and the owner's new name on the car") { update }
      step("destroy: the car and the driver are gone") { destroy }
      step("rolled back: an import whose last row is wrong changes nothing anywhere") { roll_back }
      step("bulk write: update_all runs no callback, and every row of it arrives") { change_in_bulk }
      step("fan-out: an owner's new name is on all of its cars") { fan_out }
      step("billing down: the monolith goes on, the relay holds, Kafka keeps") { hold_while_billing_is_down }
      step("billing back: everything held is delivered") { deliver_what_was_held }
      step("kill -9 of the monolith between commit and acknowledgement: the sweep delivers") { kill_the_monolith }
      kill_the_relay_too if stack.relay_expendable?
      step("refused: a car above billing's limit is found with `failures`") { find_the_refused }
      step("retried: the limit is raised, `retry` delivers it") { retry_the_refused }
      note_by_triggers_too if stack.triggers?
      step("backfill: older rows arrive while others change, row by row equal") { backfill_during_changes }
      step("the log: every request, found with `tail` and counted in /metrics") { read_the_log }
    end

    private

    attr_reader :stack, :checks

    def step(name, &block)
      checks.step(name, &block)
    end

    def kill_the_relay_too
      step("kill -9 of the relay while rows change: nothing is lost") { kill_the_relay }
    end

    def note_by_triggers_too
      step("triggers: what SQL by hand changes arrives too, and fans out") { change_by_hand }
    end

    def monolith
      stack.monolith.http
    end

    def create_vehicle(plate, **values)
      monolith.call(:post, "/vehicles", {plate: plate, **values}, status: 201).fetch("id")
    end

    def update_vehicle(id, **values)
      monolith.call(:patch, "/vehicles/#{id}", values)
    end

    def expect_both_equal(...)
      stack.expect_both_equal(...)
    end
  end
end
