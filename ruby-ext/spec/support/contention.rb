# frozen_string_literal: true

# Several threads that write the same few rows in every way that was ever seen to lose a change. Runs in processes of
# its own; prints `done` when its writes have committed and were acknowledged.
#
# A wrong record is mended by the next change of its row, so all threads of all processes turn to the next few rows
# every moment and never come back: each row's last changes are a race of their own.
class Contention
  THREADS = 4
  ROWS = 50

  # @param begun [Float] the wall clock's time when the first moment began, the same for all processes
  # @param keys [Integer] rows there are
  # @param first [Integer] id of the first of them; the others follow without a gap
  # @param number [Symbol] a numeric column to write
  # @param moment [Float] seconds that all stay with the same rows
  # @param swept [Boolean] what the publisher of this process could not publish is left to a sweep
  def initialize(begun:, keys:, create_and_delete:, first: 1, number: :counter, moment: 0.25, swept: false)
    @begun = begun
    @moments = keys / ROWS
    @create_and_delete = create_and_delete
    @first = first
    @number = number.to_sym
    @moment = moment
    @swept = swept
  end

  def run
    Array.new(THREADS) { Thread.new { write until over? } }.each(&:join)
    abort "not everything was acknowledged" unless ReplicatesTo.flush(timeout: 60) || @swept
    puts "done"
  end

  private

  def moment
    ((Time.now.to_f - @begun) / @moment).floor
  end

  def over?
    moment >= @moments
  end

  def write
    # Some rows are hotter than others.
    stale = Vehicle.find_by(id: @first + (moment * ROWS) + (ROWS * (rand**3)).floor)
    ActiveRecord::Base.connection_pool.with_connection { public_send(kinds.sample, stale) if stale }
  rescue ActiveRecord::Deadlocked, ActiveRecord::RecordNotUnique, ActiveRecord::RecordNotFound, RuntimeError
    nil
  end

  def kinds
    %i[change twice stale_change no_op no_op savepoint in_bulk many columns counter upsert bulk_and_save] +
      (@create_and_delete ? %i[come_and_go come_and_go_in_bulk] : [])
  end

  public

  def change(row)
    row.update!(@number => rand(1_000_000))
  end

  def twice(row)
    Vehicle.transaction do
      row.update!(@number => rand(1_000_000))
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
      row.update!(@number => rand(1_000_000))
      Vehicle.transaction(requires_new: true) do
        Vehicle.find(row.id).update!(plate: "rolled back")
        raise ActiveRecord::Rollback
      end
    end
  end

  def in_bulk(row)
    Vehicle.where(id: row.id).update_all(@number => rand(1_000_000))
  end

  def many(row)
    Vehicle.where(id: row.id..(row.id + 5)).update_all("#{@number} = #{@number} + 1")
  end

  def columns(row)
    row.update_columns(plate: "C#{rand(1_000_000)}")
  end

  def counter(row)
    row.increment!(@number)
  end

  # Writes every column, most of them as they were read.
  def upsert(row)
    Vehicle.upsert_all([row.attributes.merge("plate" => "U#{rand(1_000_000)}")])
  end

  def bulk_and_save(row)
    Vehicle.transaction do
      Vehicle.where(id: row.id).update_all(plate: "B#{rand(1_000_000)}")
      sleep(rand * 0.005)
      row.update!(@number => rand(1_000_000))
      Vehicle.transaction(requires_new: true) do
        Vehicle.where(id: row.id).update_all(plate: "rolled back")
        raise ActiveRecord::Rollback
      end
    end
  end

  def come_and_go_in_bulk(row)
    Vehicle.where(id: row.id).delete_all
    Vehicle.insert_all([row.attributes]) if rand < 0.8
  end

  def come_and_go(row)
    row.destroy!
    Vehicle.create!(id: row.id, plate: "again", @number => 0) if rand < 0.8
  end
end
