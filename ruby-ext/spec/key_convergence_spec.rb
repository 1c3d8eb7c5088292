# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/lingering"
require_relative "support/key_contention"

# Whatever raced, the record with the highest version of each key must be what is under that key at the end.
RSpec.describe "rows that race for keys" do
  include_context "with a database on", :postgresql
  include_context "with Kafka"

  let(:moments) { (Integer(ENV.fetch("CONVERGENCE_SECONDS", 8)) / KeyContention::MOMENT).floor }

  before { Models.topics.each { |name| Topic.new(name).create(partitions: 4) } }

  before(:all) { Lingering.commits(ActiveRecord::Base.connection, share: 0.3, seconds: 0.02) }

  def run_writers
    processes = OwnProcess.start_together(@database, 2, <<~RUBY)
      require #{File.expand_path('support/key_contention', __dir__).inspect}
      # A publisher that is now quick, now slow, between reading a row and reading who holds its former key, too.
      slow = Module.new { def load(...) = super.tap { sleep(rand * 0.03) if rand < 0.2 } }
      ReplicatesTo::FreshRows.singleton_class.prepend(slow)
      KeyContention.new(begun: starting_time, moments: #{moments}).run
    RUBY
    processes.each do |process|
      status = process.wait((moments * KeyContention::MOMENT) + 120)
      expect(process.output).to include("done"), process.output
      expect(status).to be_success
    end
    ActiveRecord::Base.connection.execute("update replicates_to_outbox set next_at = null")
    Waiting.until_true { ReplicatesTo.publisher.sweep(0) && noted.empty? }
  end

  # What a consumer holds that keeps the record with the highest version; of two with one version, the first.
  def consumer(model, destination)
    last = topic(model, destination).records.group_by(&:key).transform_values { |same| same.min_by { |one| [-one.version, one.offset] } }
    last.reject { |_, record| record.operation == "delete" }.transform_values(&:attributes)
  end

  def source(model, destination)
    models = [Product, Gadget].select { |one| one.replicates_to_declarations.key?(destination) }
    mappings = models.index_with { |one| one.replicates_to_mapping(destination) }
    model.unscoped.select { |row| mappings[row.class].publishes?(row) }.to_h do |row|
      [mappings[row.class].key_of(row), mappings[row.class].names.to_h { |name| [name, row[name]] }]
    end
  end

  it "leave under every key of every destination the row that holds it" do
    Product.insert_all!(KeyContention.rows(moments))
    expect(ReplicatesTo.flush(timeout: 60)).to be(true)
    run_writers
    published = {shop: Product, places: Product, archive: Product, outlet: Gadget}.to_h do |destination, model|
      [destination, [consumer(model, destination), source(model, destination)]]
    end
    differing = published.transform_values { |seen, real| (seen.to_a - real.to_a) + (real.to_a - seen.to_a) }
    expect(differing).to eq(shop: [], places: [], archive: [], outlet: [])
    expect(topic(Product, :shop).records.size).to be > moments * (KeyContention::ROWS + 2)
  end
end
