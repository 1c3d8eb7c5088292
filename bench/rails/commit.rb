# frozen_string_literal: true

# What a transaction pays for being published: 1, 10 and 1,000 rows updated one by one, noted by callbacks or by triggers,
# beside the same without the gem (`ReplicatesTo.disabled`); publisher and Kafka included. Wall time of the thread that
# commits.
#
#     ruby bench/rails/commit.rb

require_relative "stage"

ROUNDS = 15
# Transactions of a round, by the rows that each changes.
TRANSACTIONS = {1 => 100, 10 => 20, 1_000 => 1}.freeze

def update(cars, transactions)
  transactions.times do |number|
    cars.first.class.transaction { cars.each { |car| car.update!(number: car.number + number + 1) } }
  end
end

# Statements of one transaction, whose first look at an outbox and its triggers is not counted.
def statements(way, cars)
  Stage.cover(way)
  way.within do
    update(cars, 1)
    Stage.statements { update(cars, 1) }
  end
end

Stage.set do
  now = Time.now
  ReplicatesTo.disabled do
    [Car, Lorry].each { |model| model.insert_all((1..1_000).map { |id| {id: id, plate: "KA-#{id}", created_at: now, updated_at: now} }) }
  end
  TRANSACTIONS.each do |rows, transactions|
    cars = [Car, Lorry].to_h { |model| [model, model.order(:id).limit(rows).to_a] }
    counts = Stage::WAYS.to_h { |way| [way.name, statements(way, cars.fetch(way.model))] }
    settings = counts.transform_values { |count| {rows: rows, statements_more: count - counts[Stage::WITHOUT]} }
    samples = Stage.rounds(ROUNDS, ->(model) { update(cars.fetch(model), transactions) }) do
      ReplicatesTo.flush(timeout: 60) or abort "Kafka did not take a round within 60 s"
    end
    Stage.report("commit of #{rows}", "us_per_transaction", samples, records: rows * transactions, per: transactions, settings: settings)
  end
end
