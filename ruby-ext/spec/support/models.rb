# frozen_string_literal: true

require "erb"
require_relative "library"
require_relative "shop"

# The replicated models of the tests, and their tables.
module Models
  MIGRATION = File.expand_path("../../lib/generators/replicates_to/install/templates/migration.rb.tt", __dir__)

  module_function

  def create_tables
    migration_class.new.tap { |migration| migration.verbose = false }.migrate(:up)
    ActiveRecord::Schema.define { suppress_messages { Models.tables(self) } }
    named_models.each(&:reset_column_information)
  end

  def tables(schema)
    schema.create_table(:owners) do |t|
      t.string :name
      t.string :email
      t.integer :vehicles_count, null: false, default: 0
      t.timestamps precision: 6
    end
    schema.create_table(:vehicles) do |t|
      t.references :owner
      t.string :type
      t.string :plate
      t.string :vin
      t.integer :counter, null: false, default: 0
      t.timestamps precision: 6
    end
    schema.create_table(:parts, id: false) do |t|
      t.string :code, primary_key: true
      t.string :name
    end
    Library.create(schema)
    Shop.create(schema)
  end

  def clear
    connection = ActiveRecord::Base.connection
    tables = Library::TABLES + Shop::TABLES + %w[vehicles owners parts]
    tables += %w[outbox run_ranges runs identity].map { |name| "replicates_to_#{name}" }
    # Triggers would wake a publisher.
    ReplicatesTo.disabled { tables.each { |table| connection.execute("delete from #{table}") } }
  end

  def forget_mappings
    ActiveRecord::Base.descendants.each { |model| model.instance_variable_set(:@replicates_to_fitting, nil) }
  end

  # Without the nameless ones that other examples left behind, which Rails 7.2 does not find a table for.
  def named_models
    ActiveRecord::Base.descendants.select(&:name)
  end

  def topics
    [Vehicle, Truck, Owner, Part, Product, Gadget].flat_map do |model|
      model.replicates_to_declarations.keys.map { |destination| ReplicatesTo.mapping(model, destination).topic }
    end.uniq
  end

  def migration_class
    @migration_class ||= begin
      version = ActiveRecord::Migration.current_version
      source = ERB.new(File.read(MIGRATION)).result(Struct.new(:migration_version).new(version).instance_eval { binding })
      Module.new.tap { |home| home.module_eval(source) }.const_get(:CreateReplicatesTo)
    end
  end
end

class Owner < ActiveRecord::Base
  include ReplicatesTo

  replicates_to :billing, only: %i[name email], sensitive: :email

  has_many :vehicles
end

class Vehicle < ActiveRecord::Base
  include ReplicatesTo

  class << self
    # Code that an example runs inside a callback of every vehicle, or instead of its compute.
    attr_accessor :after_write, :before_the_commit, :after_the_commit, :computing
  end

  belongs_to :owner, optional: true, touch: true

  replicates_to :billing, only: %i[plate vin counter], rename: {plate: :registration}, compute: {owner_name: :name_of_owner},
                          includes: :owner, unless: ->(vehicle) { vehicle.vin == "secret" }

  after_save { self.class.after_write&.call(self) }
  after_destroy { self.class.after_write&.call(self) }
  before_commit { self.class.before_the_commit&.call(self) }
  after_commit { self.class.after_the_commit&.call(self) }

  private

  def name_of_owner
    Vehicle.computing ? Vehicle.computing.call(self) : owner&.name
  end
end

class Truck < Vehicle
  replicates_to :freight, only: %i[plate], as: "Lorry"
end

class Part < ActiveRecord::Base
  include ReplicatesTo

  self.primary_key = :code
  replicates_to :billing
end
