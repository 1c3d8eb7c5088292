# frozen_string_literal: true

require_relative "receiver_helper"

RSpec.describe "Concurrent deliveries" do
  threads = 8
  keys = 10
  versions = 40

  ConsumerDatabase::ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a consumer on", adapter

      # All records, shuffled, from several threads that begin at once.
      define_method(:storm) do |records, seed|
        queue = Queue.new
        records.shuffle(random: Random.new(seed)).each { |record| queue << record }
        queue.close
        statuses = Array.new(threads) { Thread.new { work(queue) } }.flat_map(&:value)
        expect(statuses.tally.keys).to contain_exactly(200)
      end

      def work(queue)
        statuses = []
        ActiveRecord::Base.connection_pool.with_connection do |connection|
          @database.prepare(connection)
          while (record = queue.pop)
            answer = deliver(record)
            answer = deliver(record) while answer.status == 409
            statuses << answer.status
          end
        end
        statuses
      end

      define_method(:updates) do
        (1..keys).to_a.product((1..versions).to_a).map do |key, version|
          record(key: key.to_s, version: version, registration: "KA-#{version}")
        end
      end

      it "end at the highest version of each key, whatever their order" do
        3.times do |seed|
          Consumer.clear(ActiveRecord::Base.connection)
          storm(updates, seed)

          expect(Consumer::Car.pluck(:external_id, :plate))
            .to match_array((1..keys).map { |key| [key, "KA-#{versions}"] })
        end
      end

      it "never bring back a row that a later record deleted" do
        deletes = (1..keys).map { |key| record(key: key.to_s, version: versions + 1, operation: "delete") }

        storm(updates + deletes, 7)

        expect(Consumer::Car.count).to eq(0)
        expect(everything["replicates_to_versions"].map { |row| row[3] }.uniq).to eq([versions + 1])
      end
    end
  end
end
