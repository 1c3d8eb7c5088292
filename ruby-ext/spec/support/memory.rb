# frozen_string_literal: true

require "replicates_to/testing"

# Records stay in the process, as in the tests of applications: inside a transaction that is rolled back after the
# example, unless the group says `transactional: false`.
RSpec.shared_context "in memory" do |transactional: true, **settings|
  before do
    Settings.apply(transport: "memory", **settings)
    ReplicatesTo.instance_variable_set(:@publisher, nil)
    ActiveRecord::Base.connection.begin_transaction(joinable: false) if transactional
  end

  after do
    ActiveRecord::Base.connection.rollback_transaction if transactional
    ReplicatesTo.instance_variable_set(:@publisher, nil)
    Vehicle.computing = Vehicle.after_write = Vehicle.before_the_commit = Vehicle.after_the_commit = nil
  end

  def published(**which)
    ReplicatesTo::Testing.records(**which)
  end
end
