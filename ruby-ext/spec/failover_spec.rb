# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/postgres_server"

# A primary is lost with what its asynchronous standby had not received, and the standby is promoted.
RSpec.describe "a failover" do
  include_context "with Kafka"

  before(:all) do
    @formerly = ActiveRecord::Base.connection_db_config if ActiveRecord::Base.connected?
    @primary = PostgresServer.create
    ActiveRecord::Base.establish_connection(adapter: "postgresql", url: @primary.url)
    Models.create_tables
    @standby = @primary.standby
  end

  after(:all) do
    ActiveRecord::Base.connection_pool.disconnect!
    @formerly ? ActiveRecord::Base.establish_connection(@formerly) : ActiveRecord::Base.remove_connection
    [@primary, @standby].compact.each(&:remove)
  end

  before do
    Settings.renew_prefix
    Settings.apply
    Topic.baseline = 0
    topic(Vehicle, :billing).create
    ActiveRecord::Base.establish_connection(
      adapter: "postgresql", host: "127.0.0.1,127.0.0.1", port: "#{@primary.port},#{@standby.port}", username: "postgres",
      database: "postgres", target_session_attrs: "read-write"
    )
  end

  it "gives what is written afterwards, and what still waited, higher versions than what was lost" do
    vehicle = Vehicle.create!(plate: "first")
    published
    waiting = note(vehicle)
    wait_for_standby
    session = on_standby
    expect { session.identity.establish }.to raise_error(ReplicatesTo::ConfigurationError, /a standby answers/)
    @standby.stop
    # More than a sequence writes ahead into the WAL.
    40.times { outbox.draw_version }
    vehicle.update!(plate: "lost")
    lost = published.max_by(&:version)

    @primary.stop("immediate")
    @standby.start
    session = on_standby
    expect { ReplicatesTo::Publisher::Batch.new(session, [waiting]).read }.to raise_error(/a standby answers/)
    @standby.promote
    ActiveRecord::Base.connection_pool.disconnect!
    vehicle.update!(plate: "kept")
    Waiting.until_true { release_rows && sweep && outbox_empty? }

    records = topic(Vehicle, :billing).records
    latest = records.max_by(&:version)
    expect(latest.attributes["registration"]).to eq("kept")
    expect([lost, latest].map { |record| record.version >> 48 }).to eq([0, 1])
    expect(latest.version & ID_MASK).to be < (lost.version & ID_MASK)
    expect(records.map(&:version)).to include((1 << 48) + waiting)
    # The session from before the promotion writes now, and nobody has made a checkpoint.
    expect(session.identity.establish).to be(true)
    expect(session.identity.examine.parts).to include("timeline" => 2)
  end

  def outbox
    ReplicatesTo::Outbox.on(ActiveRecord::Base.connection)
  end

  def note(vehicle)
    outbox.insert("monolith", [ReplicatesTo::Note.new(model: "Vehicle", primary_key: "[#{vehicle.id}]", operation: "update")]).first
  end

  def on_standby
    handler = ActiveRecord::ConnectionAdapters::ConnectionHandler.new
    pool = handler.establish_connection({adapter: "postgresql", url: @standby.url})
    connection = pool.respond_to?(:lease_connection) ? pool.lease_connection : pool.connection
    ReplicatesTo::Outbox.on(connection)
  end

  def wait_for_standby
    reached = ActiveRecord::Base.connection.select_value("select pg_current_wal_lsn()::text")
    server = PG.connect(@standby.url)
    Waiting.until_true { server.exec("select pg_last_wal_replay_lsn() >= '#{reached}'").getvalue(0, 0) == "t" }
  ensure
    server&.close
  end

  # The publisher's connection is lost, which may end the turn that is to sweep.
  def sweep
    ReplicatesTo.publisher.sweep(0)
  rescue ActiveRecord::ActiveRecordError
    nil
  end

  def release_rows
    ActiveRecord::Base.connection.execute("update replicates_to_outbox set next_at = null")
  end

  def outbox_empty?
    outbox.counts("monolith")[:rows].zero?
  end
end
