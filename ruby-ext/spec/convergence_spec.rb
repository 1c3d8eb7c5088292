# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/lingering"

# A record carries the whole state of its row and a version, and the higher version wins. So whatever raced, the record
# with the highest version of each key must be what the row is at the end.
RSpec.describe "concurrent writers, publishers and a backfill" do
  seconds = Integer(ENV.fetch("CONVERGENCE_SECONDS", 8))

  let(:seconds) { seconds }
  # Fifty rows each quarter of a second.
  let(:keys) { seconds * 200 }

  include_context "with a database on", :postgresql
  include_context "with Kafka"

  before { Models.topics.each { |name| Topic.new(name).create(partitions: 4) } }

  before(:all) { Lingering.commits(ActiveRecord::Base.connection, share: 1, seconds: 0.01) }

  def writers(create_and_delete:, swept: false)
    OwnProcess.start_together(@database, 2, <<~RUBY)
      require #{File.expand_path('support/contention', __dir__).inspect}
      # A publisher that is now quick, now slow, so that publishes leave in another order than they committed.
      Vehicle.computing = ->(_) { rand < 0.02 ? (sleep(rand * 0.05) && "slow") : "slow" }
      Vehicle.after_write = ->(_) { raise "callback" if rand < 0.03 }
      Contention.new(begun: starting_time, keys: #{keys}, create_and_delete: #{create_and_delete}, swept: #{swept}).run
    RUBY
  end

  def finish(processes)
    processes.each do |process|
      status = process.wait(seconds + 90)
      expect(process.output).to include("done"), process.output
      expect(status).to be_success
    end
    ActiveRecord::Base.connection.execute("update replicates_to_outbox set next_at = null")
    Waiting.until_true { ReplicatesTo.publisher.sweep(0) && noted.empty? }
  end

  # What a consumer holds that keeps the record with the highest version; of two with one version, the first.
  def consumer
    topic(Vehicle, :billing).records.group_by(&:key).transform_values do |records|
      last = records.min_by { |record| [-record.version, record.offset] }
      last.operation == "delete" ? nil : last.attributes.values_at("registration", "counter")
    end
  end

  # Again as soon as a publisher has noticed it, as long as the writers are at it.
  #
  # @return [Integer] how often
  def set_sequence_back(times, processes)
    connection = ActiveRecord::Base.connection
    generation = -> { connection.select_value("select generation from replicates_to_identity") }
    connection.execute("select setval('replicates_to_outbox_id_seq', 1000000)")
    (1..times).each do |nth|
      connection.execute("update replicates_to_identity set highest_id_at = '-infinity'")
      outbox.identity.remember
      connection.execute("select setval('replicates_to_outbox_id_seq', last_value / 2) from replicates_to_outbox_id_seq")
      Waiting.until_true(60) { generation.call == nth || processes.none?(&:running?) }
      break if processes.none?(&:running?)
    end
    generation.call
  end

  def source
    Vehicle.unscoped.pluck(:id, :plate, :counter).to_h { |id, *state| [id.to_s, state] }
  end

  def create_rows
    ReplicatesTo.disabled do
      now = Time.now
      Vehicle.insert_all((1..keys).map { |id| {id: id, plate: "KA", counter: 0, created_at: now, updated_at: now} })
    end
  end

  # Keys that differ, with what the consumer has and what the source has.
  def wrong(consumer, source)
    (consumer.keys | source.keys).to_h { |key| [key, [consumer[key], source[key]]] }.reject { |_, (seen, real)| seen == real }
  end

  it "leave every consumer row equal to its source row" do
    create_rows
    finish(writers(create_and_delete: false))
    seen = consumer
    expect(seen.size).to be > keys / 20
    expect(wrong(seen, source.slice(*seen.keys))).to eq({})
  end

  it "resurrect no row and miss no change, though a backfill runs while rows come and go" do
    create_rows
    processes = writers(create_and_delete: true)
    Waiting.until_true { noted.any? || topic(Vehicle, :billing).records.any? }
    slowly = {"BATCH" => "50", "RATE" => (keys / seconds * 2).to_s}
    backfills = Array.new(2) { ReplicatesTo::Command.backfill(%w[Vehicle billing], out: StringIO.new, env: slowly) }
    finish(processes)
    expect(backfills).to eq([0, 0])
    expect(wrong(consumer.compact, source)).to eq({})
  end

  it "miss no change while the sequence of the versions is set back again and again" do
    create_rows
    # Ids come again: they cannot tell these records from those of other examples.
    Settings.renew_prefix
    Settings.apply
    Topic.baseline = 0
    topic(Vehicle, :billing).create(partitions: 4)
    processes = writers(create_and_delete: true, swept: true)
    Waiting.until_true { noted.any? || topic(Vehicle, :billing).records.any? }
    expect(set_sequence_back(12, processes)).to be_positive
    finish(processes)
    seen = consumer
    expect(seen.size).to be > 50
    expect(wrong(seen.compact, source.slice(*seen.keys))).to eq({})
  ensure
    Settings.renew_prefix
  end
end
