# frozen_string_literal: true

# Several threads that give the same few keys to the same few rows and take them away again, in every way there is. Runs
# in processes of its own; prints `done` when its writes have committed and were acknowledged.
#
# As in {Contention}, all threads turn to another few rows every moment and never come back, so that nothing that went
# wrong is mended by a later change.
class KeyContention
  THREADS = 4
  ROWS = 8
  # More keys than rows, so that some are free.
  KEYS = 12
  MOMENT = 0.25

  # @param moments [Integer]
  # @return [Array<Hash>] the rows there are before
  def self.rows(moments)
    Array.new(moments) do |moment|
      Array.new(ROWS) { |n| {sku: sku(moment, n), region: "m,#{moment}", number: n, name: "first", type: n.even? ? "Product" : "Gadget"} }
    end.flatten
  end

  def self.sku(moment, number)
    "m#{moment}-#{number}"
  end

  # @param begun [Float] the wall clock's time when the first moment began, the same for all processes
  # @param moments [Integer] how many
  def initialize(begun:, moments:)
    @begun = begun
    @moments = moments
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

  KINDS = %i[
    rename stale_rename exchange move columns bulk hide destroy delete_in_bulk replace create turn renumber twice rolled_back
  ].freeze

  def write
    ActiveRecord::Base.connection_pool.with_connection { send(KINDS.sample, moment) }
  rescue ActiveRecord::Deadlocked, ActiveRecord::RecordNotUnique, ActiveRecord::RecordNotFound
    nil
  end

  def row(moment)
    Product.where(region: "m,#{moment}").to_a.sample || create(moment)
  end

  def any_sku(moment)
    KeyContention.sku(moment, rand(KEYS))
  end

  def any_name
    rand < 0.1 ? "nowhere" : "N#{rand(1_000_000)}"
  end

  def rename(moment)
    row(moment).update!(sku: any_sku(moment), name: any_name)
  end

  def stale_rename(moment)
    stale = row(moment)
    sleep(rand * 0.02)
    stale.update!(sku: any_sku(moment))
  end

  def exchange(moment)
    one, other = row(moment), row(moment)
    return if one.id == other.id

    Product.transaction do
      skus = [one, other].map(&:sku)
      one.update!(sku: "tmp#{Process.pid}#{Thread.current.object_id}")
      other.update!(sku: skus.first)
      sleep(rand * 0.005)
      one.update!(sku: skus.last)
    end
  end

  def move(moment)
    row(moment).update!(number: rand(KEYS), name: any_name)
  end

  def columns(moment)
    row(moment).update_columns(sku: any_sku(moment))
  end

  def bulk(moment)
    Product.where(region: "m,#{moment}").order(:id).limit(3).update_all(name: any_name)
  end

  def hide(moment)
    row(moment).tap { |one| one.update!(hidden: !one.hidden) }
  end

  def destroy(moment)
    row(moment).destroy!
  end

  def delete_in_bulk(moment)
    Product.where(id: [row(moment), row(moment)].map(&:id)).delete_all
  end

  # Its key, its primary key, or both go to a new row.
  def replace(moment)
    Product.transaction do
      old = row(moment)
      old.destroy!
      Product.create!(old.attributes.merge("name" => any_name, "type" => "Product", "id" => rand < 0.5 ? old.id : nil))
    end
  end

  def create(moment)
    [Product, Gadget].sample.create!(sku: any_sku(moment), region: "m,#{moment}", number: rand(KEYS), name: any_name)
  end

  def turn(moment)
    one = row(moment)
    one.becomes!(one.is_a?(Gadget) ? Product : Gadget).tap { |other| other.sku = any_sku(moment) if rand < 0.5 }.save!
  end

  def renumber(moment)
    row(moment).update!(id: 1_000_000 + rand(1_000_000), sku: any_sku(moment))
  end

  def twice(moment)
    Product.transaction do
      one = row(moment)
      one.update!(sku: any_sku(moment))
      Product.find(one.id).update!(sku: any_sku(moment), number: rand(KEYS))
      one.destroy! if rand < 0.3
    end
  end

  def rolled_back(moment)
    Product.transaction do
      row(moment).update!(name: any_name)
      Product.transaction(requires_new: true) do
        row(moment).update!(sku: any_sku(moment))
        raise ActiveRecord::Rollback
      end
    end
  end
end
