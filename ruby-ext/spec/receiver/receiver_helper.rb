# frozen_string_literal: true

$LOAD_PATH.unshift(File.expand_path("../../lib", __dir__))

require "logger"
require "replicates_to/receiver"
require_relative "support/consumer"
require_relative "support/signed_request"

# A consumer's database of its own for the group, and tables emptied for each example.
RSpec.shared_context "with a consumer on" do |adapter|
  include SignedRequest

  before(:all) do
    @formerly = ActiveRecord::Base.connection_db_config if ActiveRecord::Base.connected?
    @database = ConsumerDatabase.create(adapter)
    ActiveRecord::Base.establish_connection(@database.config)
    Consumer.create_tables(ActiveRecord::Base.connection)
  end

  after(:all) do
    ActiveRecord::Base.connection_pool.disconnect!
    @formerly ? ActiveRecord::Base.establish_connection(@formerly) : ActiveRecord::Base.remove_connection
    @database.drop
  end

  before do
    Consumer.clear(ActiveRecord::Base.connection)
    ReplicatesTo::Receiver.configure do |r|
      r.secrets = [SignedRequest::SECRET]
      r.upsert "Vehicle", into: "Consumer::Car", key: :external_id, rename: {registration: :plate}
      r.upsert "Ticket", into: "Consumer::Ticket", key: :id
      r.upsert "Garage", into: "Consumer::Garage", key: :id
    end
  end

  # Guard and rows, to see that nothing was written.
  def everything
    tables = %w[replicates_to_versions garages cars tickets]
    tables.to_h { |table| [table, ActiveRecord::Base.connection.select_rows("select * from #{table} order by 1, 2")] }
  end

  def car(key)
    Consumer::Car.unscoped.find_by(external_id: key)
  end
end
