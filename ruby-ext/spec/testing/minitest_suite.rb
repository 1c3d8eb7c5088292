# frozen_string_literal: true

# A test suite as an application has one, with transactional tests; minitest_spec.rb runs it in a process of its own.

require "logger"
require "active_record"
require "active_support/test_case"
require "active_record/fixtures"
require "minitest/autorun"
require "replicates_to"
require "replicates_to/testing"
require_relative "../support/models"

ActiveRecord::Base.establish_connection(adapter: "sqlite3", database: ":memory:")
Models.create_tables
ReplicatesTo.configure do |c|
  c.source = "monolith"
  c.transport = "memory"
end

class VehicleTest < ActiveSupport::TestCase
  include ActiveRecord::TestFixtures

  setup { @vehicle = Vehicle.create!(plate: "KA-1") }

  test "a record that agrees is found, and the block's value returned" do
    value = assert_replicates(@vehicle, to: :billing, as: :update, with: {registration: "KA-2"}) { @vehicle.update!(plate: "KA-2") }
    assert_equal true, value
    assert_replicates(Vehicle) { Vehicle.create!(plate: "KA-3") }
  end

  test "a record that is otherwise is shown" do
    error = assert_raises(Minitest::Assertion) do
      assert_replicates(@vehicle, to: :billing, with: {registration: "KA-3"}) { @vehicle.update!(plate: "KA-2") }
    end
    assert_includes error.message, %(-registration: "KA-3"\n+registration: "KA-2")
  end

  test "nothing published is nothing found" do
    error = assert_raises(Minitest::Assertion) { assert_replicates(@vehicle) { @vehicle.reload } }
    assert_includes error.message, "expected Vehicle #{@vehicle.id} to be published, but nothing was"
  end

  test "no replication is none of anything, or of what is named" do
    assert_equal @vehicle, assert_no_replication { @vehicle.reload }
    assert_no_replication(Owner) { @vehicle.update!(plate: "KA-2") }
    assert_no_replication(@vehicle) { Vehicle.create!(plate: "KA-9") }
    error = assert_raises(Minitest::Assertion) { assert_no_replication { @vehicle.update!(plate: "KA-4") } }
    assert_includes error.message, "expected anything not to be published\n  published: Vehicle #{@vehicle.id} -> billing, update"
    assert_raises(Minitest::Assertion) { assert_no_replication(@vehicle, to: :billing) { @vehicle.update!(plate: "KA-5") } }
  end

  2.times do |number|
    test "records are cleared between tests, and their rows rolled back (#{number + 1} of 2)" do
      assert_equal [@vehicle.id.to_s], ReplicatesTo::Testing.records.map(&:key)
      assert_equal 1, Vehicle.count
    end
  end
end
