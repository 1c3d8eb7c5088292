# frozen_string_literal: true

require_relative "spec_helper"

# The races that label old state as new, one by one: a COMMIT is held where its version has been drawn, and the other
# side goes on. Afterwards the highest version must carry what the row is.
RSpec.describe "a version" do
  include_context "with a database on", :postgresql
  include_context "with Kafka"

  before(:all) do
    ActiveRecord::Base.connection.execute(<<~SQL)
      create function hold() returns trigger language plpgsql as $$
      begin
        if current_setting('replicates_to_test.hold', true) = 'on' then perform pg_advisory_xact_lock_shared(4711); end if;
        return null;
      end $$;
      create constraint trigger hold after insert on replicates_to_outbox deferrable initially deferred
      for each row execute function hold();
    SQL
  end

  before { Models.topics.each { |name| Topic.new(name).create } }

  let!(:vehicle) { ReplicatesTo.disabled { Vehicle.create!(plate: "old") } }
  let(:observer) { PG.connect(@database.config[:url]) }

  after { observer.close }

  # Runs a write in a thread whose COMMIT waits, with its version drawn, until the block has returned.
  def while_commit_is_held(write)
    writer = held_writer(write)
    Waiting.until_true { waiting?("advisory") }
    yield
    release(writer)
  end

  def held_writer(write)
    observer.exec("select pg_advisory_lock(4711)")
    in_thread do |connection|
      connection.execute("set replicates_to_test.hold = 'on'")
      write.call
    ensure
      connection.execute("set replicates_to_test.hold = 'off'")
    end
  end

  def release(writer)
    observer.exec("select pg_advisory_unlock(4711)")
    writer.value
  end

  def in_thread(&block)
    Thread.new { ActiveRecord::Base.connection_pool.with_connection(&block) }
  end

  def waiting?(kind)
    observer.exec(Locks.awaited(kind)).any?
  end

  def expect_consumer_to_hold(plate)
    expect(published.max_by(&:version).attributes["registration"]).to eq(plate)
    expect(vehicle.reload.plate).to eq(plate)
  end

  it "is not drawn by a save that changes nothing, while another transaction is about to commit a change" do
    stale = Vehicle.find(vehicle.id)
    while_commit_is_held(-> { Vehicle.find(vehicle.id).update!(plate: "new") }) do
      stale.save!
      ReplicatesTo.flush(timeout: 20)
    end
    expect_consumer_to_hold("new")
  end

  it "is not drawn by an update that finds no row any more" do
    gone = Vehicle.create!(plate: "gone")
    stale = Vehicle.find(gone.id)
    gone.destroy!
    ReplicatesTo.flush(timeout: 20)
    while_commit_is_held(-> { Vehicle.create!(id: gone.id, plate: "again") }) do
      stale.update!(plate: "never")
      ReplicatesTo.flush(timeout: 20)
    end
    expect(published.select { |record| record.key == gone.id.to_s }.max_by(&:version).attributes["registration"]).to eq("again")
  end

  it "is drawn while the row's lock is held: who waits for the lock draws later" do
    second = nil
    Vehicle.transaction do
      first = Vehicle.lock.find(vehicle.id)
      second = held_writer(-> { Vehicle.find(vehicle.id).update!(plate: "second") })
      Waiting.until_true { waiting?("transactionid") }
      first.update!(plate: "first")
    end
    Waiting.until_true { waiting?("advisory") }
    ReplicatesTo.flush(timeout: 20)
    release(second)
    expect_consumer_to_hold("second")
  end

  # Picked before it was written, it would be noted without its lock.
  it "is not drawn by a bulk write for a row that does not match any more once its lock is free" do
    other = ReplicatesTo.disabled { Vehicle.create!(plate: "old") }
    changed = nil
    Vehicle.transaction do
      Vehicle.find(vehicle.id).update!(plate: "new")
      changed = in_thread { Vehicle.where(plate: "old").update_all(counter: 7) }
      Waiting.until_true { waiting?("transactionid") }
    end
    expect(changed.value).to eq(1)
    expect(published.map { |record| [record.key, record.attributes.values_at("registration", "counter")] })
      .to contain_exactly([vehicle.id.to_s, ["new", 0]], [other.id.to_s, ["old", 7]])
  end

  it "of a backfill is below every change that its read did not see" do
    out = StringIO.new
    run = nil
    while_commit_is_held(-> { Vehicle.find(vehicle.id).update!(plate: "new") }) do
      run = in_thread { backfill(out) }
      Waiting.until_true { out.string.include?("fence: waiting") || !run.alive? }
    end
    expect(run.value).to eq(0)
    expect_consumer_to_hold("new")
  end

  context "with a backfill that is stopped at its first row" do
    let(:reading) { Queue.new }
    let(:going_on) { Queue.new }

    before do
      Vehicle.computing = lambda do |_|
        next "live" if Thread.current.name == "replicates_to publisher"

        reading << true
        going_on.pop
      end
    end

    after { Vehicle.computing = nil }

    it "does not bring back a row that is deleted after it was read" do
      run = in_thread { backfill }
      reading.pop
      vehicle.destroy!
      ReplicatesTo.flush(timeout: 20)
      going_on << "read before"
      expect(run.value).to eq(0)
      expect(published.max_by(&:version).operation).to eq("delete")
    end

    it "is below a change that began after the fence, though a later batch reads the row before that commits" do
      ReplicatesTo.disabled { Vehicle.create!(plate: "the first row", id: 0) }
      run = in_thread { backfill(BATCH: "1") }
      reading.pop
      while_commit_is_held(-> { Vehicle.find(vehicle.id).update!(plate: "new") }) do
        2.times { going_on << "read before" }
        expect(run.value).to eq(0)
      end
      latest = published.select { |record| record.key == vehicle.id.to_s }.max_by(&:version)
      expect([latest.operation, latest.attributes["registration"]]).to eq(%w[update new])
    end
  end

  def backfill(out = StringIO.new, **env)
    ReplicatesTo::Command.backfill(%w[Vehicle billing], out: out, env: env.transform_keys(&:to_s))
  end
end
