# frozen_string_literal: true

# Threads that write the same few rows in every way ActiveRecord has, alone and together, at every isolation level.
# Runs in processes of its own; prints `done` when its writes have committed and were acknowledged.
#
# A wrong record is mended by the next change of its row, so all threads of all processes turn to the next few rows
# every moment and never come back: each row's last changes are a race of their own.
class EveryWrite
  THREADS = 4
  # Cars and fleets of a moment.
  CARS = 40
  FLEETS = 4
  MOMENT = 0.25
  TRIES = 3
  ISOLATIONS = [nil, :read_committed, :repeatable_read, :serializable].freeze

  # Each is given a car that was there, and a fleet.
  WRITES = {
    save: ->(car, _) { car.update!(plate: token, number: rand(1_000)) },
    save_nothing: ->(car, _) { car.save! },
    update_attribute: ->(car, _) { car.update_attribute(:plate, token) },
    update_columns: ->(car, _) { car.update_columns(plate: token, number: rand(1_000)) },
    update_column: ->(car, _) { car.update_column(:plate, token) },
    touch: ->(car, _) { car.touch },
    toggle: ->(car, _) { car.toggle!(:active) },
    increment: ->(car, _) { car.increment!(:number) },
    decrement: ->(car, _) { car.decrement!(:number) },
    update_counters: ->(car, _) { Car.update_counters(car.id, number: 2) },
    update_all: ->(car, _) { Car.where(id: car.id..(car.id + 3)).update_all(plate: token) },
    update_all_of_what_changes: ->(car, _) { Car.where(active: true, id: car.id..(car.id + 9)).update_all(plate: token) },
    switch_all: ->(car, _) { Car.where(id: car.id..(car.id + 9)).update_all("active = not active") },
    update_all_of_sql: ->(car, _) { Car.where(id: car.id..(car.id + 3)).update_all("number = number + 1") },
    update_all_with_a_join: ->(car, _) { Car.left_joins(:fleet).where(id: car.id).update_all(plate: token) },
    update_all_in_an_order: ->(car, _) { Car.where("id >= ?", car.id).order(:id).limit(2).update_all(plate: token) },
    update_all_in_batches: ->(car, _) { Car.where(id: car.id..(car.id + 3)).in_batches(of: 2).update_all(plate: token) },
    touch_all: ->(car, _) { Car.where(id: car.id).touch_all },
    upsert: ->(car, _) { Car.upsert(car.attributes.merge("plate" => token)) },
    upsert_all: ->(car, _) { Car.upsert_all([car.attributes.merge("plate" => token)]) },
    destroy: ->(car, _) { car.destroy! },
    delete: ->(car, _) { car.delete },
    delete_by_id: ->(car, _) { Car.delete(car.id) },
    delete_all: ->(car, _) { Car.where(id: car.id).delete_all },
    create: lambda do |car, fleet|
      Car.where(id: car.id).delete_all
      Car.create!(id: car.id, plate: token, fleet: fleet)
    end,
    insert: ->(car, _) { Car.insert(row(car)) },
    insert_strictly: lambda do |car, _|
      Car.delete(car.id)
      Car.insert!(row(car))
    end,
    insert_all: ->(car, _) { Car.insert_all([row(car)]) },
    move: ->(car, fleet) { car.update!(fleet: fleet) },
    put_into: ->(car, fleet) { fleet.cars << car },
    lease: ->(car, fleet) { car.update!(lessor_id: fleet.id) },
    leave: ->(_, fleet) { fleet.cars.delete_all },
    clear: ->(_, fleet) { fleet.leased_cars.clear },
    rename: ->(_, fleet) { fleet.update!(name: token) },
    count_again: ->(_, fleet) { Fleet.reset_counters(fleet.id, :cars) },
    # Cars are set free or deleted by their association, the fleet comes back under its id.
    dissolve: lambda do |_, fleet|
      fleet.destroy!
      Fleet.create!(id: fleet.id, name: token)
    end,
    replicate: ->(car, _) { car.replicate! },
    replicate_all: ->(car, _) { Car.where(id: car.id..(car.id + 3)).replicate },
    lock_and_save: lambda do |car, _|
      car.lock!
      car.update!(number: car.number + 1)
    end,
    with_lock: ->(car, _) { car.with_lock { car.update!(number: car.number + 1, plate: token) } },
    savepoint: lambda do |car, _|
      car.update!(number: rand(1_000))
      Car.transaction(requires_new: true) do
        Car.where(id: car.id).update_all(plate: "rolled back")
        raise ActiveRecord::Rollback
      end
    end,
    nested: lambda do |car, fleet|
      Car.transaction(requires_new: true) { car.update_columns(plate: token) }
      Car.transaction { fleet.touch }
    end
  }.freeze

  # Those whose race is lost most easily are tried more often: a version that is drawn without a lock, rows that were picked
  # before they were written.
  RISKY = %i[save_nothing replicate replicate_all update_all_of_what_changes switch_all].freeze

  # Those that no other can follow in one transaction: the record in memory is frozen then, or its row is gone.
  ALONE = %i[destroy delete delete_by_id delete_all create insert_strictly dissolve].freeze

  class << self
    # @return [void]
    def perform(name, car, fleet)
      instance_exec(car, fleet, &WRITES.fetch(name))
    end

    # A state that no row ever had.
    def token
      "T#{SecureRandom.hex(4)}"
    end

    def row(car)
      now = Time.now
      {id: car.id, plate: token, number: 0, active: true, created_at: now, updated_at: now}
    end
  end

  # @param begun [Float] the wall clock's time when the first moment began, the same for all processes
  # @param seconds [Integer]
  def initialize(begun:, seconds:)
    @begun = begun
    @moments = (seconds / MOMENT).floor
  end

  # @return [(Integer, Integer)] cars and fleets that so many seconds need
  def self.rows(seconds)
    moments = (seconds / MOMENT).floor
    [moments * CARS, moments * FLEETS]
  end

  def run
    Array.new(THREADS) { Thread.new { write until over? } }.each(&:join)
    abort "not everything was acknowledged" unless ReplicatesTo.flush(timeout: 120)
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
    now = moment
    # Some rows are hotter than others. A car that was deleted can be written, too: it is not there, or it is again.
    id = 1 + (now * CARS) + (CARS * (rand**2)).floor
    fleet_id = 1 + (now * FLEETS) + rand(FLEETS)
    names = (rand < 0.4 ? RISKY : WRITES.keys).sample(rand < 0.4 ? 2 : 1)
    names = names.first(1) if (names & ALONE).any?
    ActiveRecord::Base.connection_pool.with_connection { attempt(names, id, fleet_id) }
  end

  def attempt(names, id, fleet_id, tries = TRIES)
    isolation = ISOLATIONS.sample
    car = Car.find_by(id: id) || Car.new(id: id)
    fleet = Fleet.find_by(id: fleet_id) || return
    # A while between reading and writing, so that others get between them.
    sleep(rand * 0.005)
    Car.transaction(isolation: isolation) do
      names.each { |name| EveryWrite.perform(name, car, fleet) }
      sleep(rand * 0.005)
    end
  rescue ActiveRecord::TransactionRollbackError
    retry if (tries -= 1).positive?
  # Others were quicker, or a callback raised.
  rescue ActiveRecord::ActiveRecordError, ReplicatesTo::NotPersisted, RuntimeError
    nil
  end
end
