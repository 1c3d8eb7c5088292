# frozen_string_literal: true

# Several threads that write the same few rows in every way that was ever seen to lose a change. Runs in processes of
# its own; prints `done` when its writes have committed and were acknowledged.
class Contention
  THREADS = 4

  def initialize(seconds:, keys:, create_and_delete:)
    @deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
    @keys = keys
    @create_and_delete = create_and_delete
    # A publisher that is now quick, now slow, so that publishes leave in another order than they committed.
    Vehicle.computing = ->(_) { rand < 0.02 ? (sleep(rand * 0.05) && "slow") : "slow" }
    Vehicle.after_write = ->(_) { raise "callback" if rand < 0.03 }
  end

  def run
    Array.new(THREADS) { Thread.new { write until over? } }.each(&:join)
    abort "not everything was acknowledged" unless ReplicatesTo.flush(timeout: 60)
    puts "done"
  end

  private

  def over?
    Process.clock_gettime(Process::CLOCK_MONOTONIC) > @deadline
  end

  def write
    stale = Vehicle.find_by(id: @keys.sample)
    ActiveRecord::Base.connection_pool.with_connection { public_send(kinds.sample, stale) if stale }
  rescue ActiveRecord::Deadlocked, ActiveRecord::RecordNotUnique, ActiveRecord::RecordNotFound, RuntimeError
    nil
  end

  def kinds
    @create_and_delete ? %i[change change twice stale_change no_op savepoint come_and_go] : %i[change twice stale_change no_op savepoint]
  end

  public

  def change(row)
    row.update!(counter: rand(1_000_000))
  end

  def twice(row)
    Vehicle.transaction do
      row.update!(counter: rand(1_000_000))
      Thread.pass
      row.update!(plate: "P#{rand(1_000_000)}")
    end
  end

  # Read long ago: its other columns are old, and it writes one.
  def stale_change(row)
    sleep(rand * 0.01)
    row.update!(plate: "S#{rand(1_000_000)}")
  end

  # The row was read before others changed it; saving it writes nothing.
  def no_op(row)
    Vehicle.transaction do
      sleep(rand * 0.005)
      row.save!
      sleep(rand * 0.005)
    end
  end

  def savepoint(row)
    Vehicle.transaction do
      row.update!(counter: rand(1_000_000))
      Vehicle.transaction(requires_new: true) do
        Vehicle.find(row.id).update!(plate: "rolled back")
        raise ActiveRecord::Rollback
      end
    end
  end

  def come_and_go(row)
    row.destroy!
    Vehicle.create!(id: row.id, plate: "again", counter: 0) if rand < 0.8
  end
end
