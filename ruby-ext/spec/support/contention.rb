# frozen_string_literal: true

# Several threads that write the same few rows in every way that was ever seen to lose a change. Runs in processes of
# its own; prints `done` when its writes have committed and were acknowledged.
#
# A wrong record is mended by the next change of its row, so all threads of all processes turn to the next few rows
# every moment and never come back: each row's last changes are a race of their own.
class Contention
  THREADS = 4
  ROWS = 50
  MOMENT = 0.25

  # @param begun [Float] the wall clock's time when the first moment began, the same for all processes
  # @param keys [Integer] rows there are, numbered from 1
  def initialize(begun:, keys:, create_and_delete:)
    @begun = begun
    @moments = keys / ROWS
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

  def moment
    ((Time.now.to_f - @begun) / MOMENT).floor
  end

  def over?
    moment >= @moments
  end

  def write
    # Some rows are hotter than others.
    stale = Vehicle.find_by(id: (moment * ROWS) + 1 + (ROWS * (rand**3)).floor)
    ActiveRecord::Base.connection_pool.with_connection { public_send(kinds.sample, stale) if stale }
  rescue ActiveRecord::Deadlocked, ActiveRecord::RecordNotUnique, ActiveRecord::RecordNotFound, RuntimeError
    nil
  end

  def kinds
    %i[change twice stale_change no_op no_op savepoint] + (@create_and_delete ? %i[come_and_go] : [])
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
