# frozen_string_literal: true

$LOAD_PATH.unshift(File.expand_path("../lib", __dir__))

require "logger"
require "active_record"
require "replicates_to"
require "replicates_to/command"
require "timeout"
require_relative "support/services"
require_relative "support/database"
require_relative "support/settings"
require_relative "support/models"
require_relative "support/wire"
require_relative "support/topic"
require_relative "support/own_process"
require_relative "support/waiting"
require_relative "support/locks"
require_relative "support/triggers"

ADAPTERS = %i[postgresql sqlite].freeze
# Who notes what a statement changed, and where: what is true of a write must be true under each.
COVERAGES = [[:postgresql, "callbacks"], [:postgresql, "triggers"], [:sqlite, "callbacks"]].freeze
# The part of a version that is the outbox row's id.
ID_MASK = (1 << ReplicatesTo::VERSION_BITS) - 1

# A database of its own for the group, with every table empty before each example; what is noted stays in the outbox,
# because nothing wakes a publisher.
RSpec.shared_context "with a database on" do |adapter, options = {}|
  before(:all) do
    @formerly = ActiveRecord::Base.connection_db_config if ActiveRecord::Base.connected?
    @database = Database.create(adapter, options)
    ActiveRecord::Base.establish_connection(@database.config)
    Models.create_tables
    Settings.renew_prefix
  end

  after(:all) do
    ActiveRecord::Base.connection_pool.disconnect!
    @formerly ? ActiveRecord::Base.establish_connection(@formerly) : ActiveRecord::Base.remove_connection
    @database.drop
  end

  before do
    Settings.apply
    Models.clear
    ReplicatesTo::Outbox::Statements.verified.clear
    ReplicatesTo::Triggers.verified.clear
    Topic.baseline = outbox.draw_version & ID_MASK
  end

  def outbox
    ReplicatesTo::Outbox.on(ActiveRecord::Base.connection)
  end

  def note(model, primary_key, operation)
    ReplicatesTo::Note.new(model: model, primary_key: primary_key, operation: operation)
  end

  # In the order of versions. Triggers note each statement for itself; what the publisher makes of it then is what callbacks
  # note.
  def outbox_rows
    source = ReplicatesTo.config["source"]
    ids = ActiveRecord::Base.connection.select_values("select id from replicates_to_outbox where source = '#{source}'")
    rows = outbox.find(source, ids)
    # A publisher was between the two: what is gone may have left others behind, as a fan-out does.
    return outbox_rows if rows.size < ids.size

    Settings.coverage == "triggers" ? ReplicatesTo::Outbox::Row.coalesce(rows) : rows
  end

  # [["Vehicle", 1, "create"], …]
  def noted
    outbox_rows.map { |row| [row.model, JSON.parse(row.primary_key).first, row.operation] }
  end
end

# The whole group under one coverage; behind "with a database on".
RSpec.shared_context "covered by" do |coverage|
  before(:all) do
    Settings.coverage = coverage
    Settings.apply
    TriggerSet.create if coverage == "triggers"
  end

  after(:all) { Settings.coverage = nil }
end

# Rows stay in the outbox: the publisher only remembers what it was told of.
RSpec.shared_context "without a publisher" do
  let(:woken) { [] }

  before do
    sleeping = instance_double(ReplicatesTo::Publisher, pid: Process.pid, horizon: 0)
    allow(sleeping).to receive(:committed) do |connection, database, ids, above: nil, &callbacks|
      # What triggers noted, it has to look for.
      look = "select id from replicates_to_outbox order by id"
      ids += connection.select_values(look, "SCHEMA") - ids - woken.flat_map(&:last) if above
      woken << [database, ids]
      callbacks.call
    end
    allow(ReplicatesTo).to receive(:publisher).and_return(sleeping)
  end
end

# A publisher of its own, and topics that nobody else writes to.
RSpec.shared_context "with Kafka" do
  after do
    publisher = ReplicatesTo.instance_variable_get(:@publisher)
    publisher&.close(5)
    ReplicatesTo.instance_variable_set(:@publisher, nil)
  end

  def topic(model, destination)
    Topic.new(ReplicatesTo.mapping(model, destination).topic)
  end

  # Records of a model, once everything written so far was acknowledged.
  def published(model = Vehicle, destination = :billing)
    expect(ReplicatesTo.flush(timeout: 20)).to be(true)
    topic(model, destination).records
  end
end

RSpec.configure do |config|
  config.disable_monkey_patching!
  config.order = :random
end
