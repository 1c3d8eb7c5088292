# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/lingering"
require_relative "support/readership"

# Rows that are computed from other rows, while both change: at the end the record with the highest version of each must say
# what its row would say now.
RSpec.describe "concurrent changes of owners and their dependants" do
  seconds = Integer(ENV.fetch("CONVERGENCE_SECONDS", 8))

  include_context "with a database on", :postgresql
  include_context "with Kafka"

  before(:all) { Lingering.commits(ActiveRecord::Base.connection, share: 0.3, seconds: 0.05) }

  before do
    ActiveRecord::Base.connection.execute("truncate books, portraits, awards, contracts, editors, authors restart identity")
    [Book, Editor].each { |model| Topic.new(ReplicatesTo.mapping(model, :billing).topic).create(partitions: 4) }
  end

  def writers(seconds)
    OwnProcess.start_together(@database, 2, <<~RUBY)
      require #{File.expand_path('support/readership', __dir__).inspect}
      # Slices that end in the middle, publishers that are now quick, now slow, and callbacks that raise.
      ReplicatesTo::FanOut::Slice.send(:remove_const, :SIZE)
      ReplicatesTo::FanOut::Slice::SIZE = 3
      Book.computing = -> { sleep(rand * 0.02) if rand < 0.05 }
      Author.after_write = ->(_) { raise "callback" if rand < 0.05 }
      Readership.new(begun: starting_time, seconds: #{seconds}).run
    RUBY
  end

  def create_rows(moments)
    ReplicatesTo.disabled do
      Author.insert_all!(Array.new(moments * Readership::AUTHORS) { |n| {id: n + 1, name: "A"} })
      books = Array.new(moments * Readership::BOOKS) do |n|
        moment = n / Readership::BOOKS
        {id: n + 1, title: "B", hidden: n % 5 == 0, author_id: 1 + (moment * Readership::AUTHORS) + (n % Readership::AUTHORS)}
      end
      Book.insert_all!(books)
      Editor.insert_all!(Array.new(moments * Readership::EDITORS) { |n| {id: n + 1, name: "E"} })
      contracts = Array.new(moments * Readership::AUTHORS) do |n|
        {author_id: n + 1, editor_id: 1 + (n / Readership::AUTHORS * Readership::EDITORS) + (n % Readership::EDITORS)}
      end
      Contract.insert_all!(contracts)
    end
    ActiveRecord::Base.connection.execute("select setval('books_id_seq', 1000000)")
  end

  def finish(processes)
    processes.each do |process|
      status = process.wait(240)
      expect(process.output).to include("done"), process.output
      expect(status).to be_success
    end
    ActiveRecord::Base.connection.execute("update replicates_to_outbox set next_at = null")
    Waiting.until_true(60) { ReplicatesTo.publisher.sweep(0) && noted.empty? }
  end

  # Keys whose latest record is not what the row says.
  def wrong(records, source)
    records.group_by(&:key).filter_map do |key, of_key|
      last = of_key.max_by(&:version)
      seen = last.operation == "delete" ? nil : last.attributes
      [key, seen, source[key]] unless seen == source[key]
    end
  end

  it "leave every dependant's replica as the row is" do
    create_rows(Readership.moments(seconds))
    finish(writers(seconds))
    books = Book.unscoped.includes(:author).to_h { |book| [book.id.to_s, {"title" => book.title, "author" => book.author&.name}] }
    editors = Editor.includes(:authors).to_h { |one| [one.id.to_s, {"name" => one.name, "authors" => one.authors.map(&:name).sort}] }
    {Book => books, Editor => editors}.each do |model, source|
      records = topic(model, :billing).records
      expect(records.size).to be > 5 * seconds
      expect(wrong(records, source)).to eq([])
    end
  end
end
