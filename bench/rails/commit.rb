# frozen_string_literal: true

# What a transaction pays for being published: 1, 10 and 1,000 rows updated one by one, with the gem and without it
# (`ReplicatesTo.disabled`), publisher and Kafka included. Wall time of the thread that commits.
#
#     ruby bench/rails/commit.rb

require_relative "stage"

ROUNDS = 15
# Transactions of a round, by the rows that each changes.
TRANSACTIONS = {1 => 100, 10 => 20, 1_000 => 1}.freeze
WITHOUT = "without the gem"

def update(cars, transactions)
  transactions.times do |number|
    Car.transaction { cars.each { |car| car.update!(number: car.number + number + 1) } }
  end
end

Stage.set do
  now = Time.now
  ReplicatesTo.disabled { Car.insert_all((1..1_000).map { |id| {id: id, plate: "KA-#{id}", created_at: now, updated_at: now} }) }
  TRANSACTIONS.each do |rows, transactions|
    cars = Car.order(:id).limit(rows).to_a
    ways = {
      "with the gem" => -> { update(cars, transactions) },
      WITHOUT => -> { ReplicatesTo.disabled { update(cars, transactions) } }
    }
    # The first look at an outbox asks whether its ids can be versions.
    update(cars, 1)
    more = Stage.statements { update(cars, 1) } - Stage.statements { ReplicatesTo.disabled { update(cars, 1) } }
    samples = Stage.rounds(ROUNDS, ways) { ReplicatesTo.flush(timeout: 60) or abort "Kafka did not take a round within 60 s" }
    Stage.report("commit of #{rows}", "us_per_transaction", samples, WITHOUT, records: rows * transactions, per: transactions,
                                                                              settings: {rows: rows, statements_more: more})
  end
end
