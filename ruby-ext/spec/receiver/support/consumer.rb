# frozen_string_literal: true

require "erb"
require_relative "consumer_database"

# The consumer application of the specs: tables in a shape of its own.
module Consumer
  class Garage < ActiveRecord::Base
    has_many :cars, dependent: :restrict_with_exception
  end

  class Car < ActiveRecord::Base
    FUELS = %w[petrol diesel].freeze

    default_scope { where(hidden: false) }
    belongs_to :garage, optional: true
    validates :plate, presence: true
    attr_accessor :note

    # As an enum does with a word it does not know.
    def fuel=(value)
      raise ArgumentError, "#{value.inspect} is not a valid fuel" unless FUELS.include?(value)

      super
    end
  end

  class Ticket < ActiveRecord::Base
    belongs_to :car
  end

  MODELS = [Ticket, Car, Garage].freeze
  MIGRATION = File.expand_path("../../../lib/generators/replicates_to/receiver/templates/migration.rb.tt", __dir__)

  class << self
    # The guard as the generator's migration makes it, and the application's own tables.
    def create_tables(connection)
      guard = guard_migration.new
      guard.suppress_messages { guard.exec_migration(connection, :up) }
      connection.create_table(:garages) { |t| t.string :name }
      connection.create_table(:cars) { |t| columns_of_car(t) }
      connection.create_table(:tickets) { |t| t.references :car, foreign_key: true }
      MODELS.each(&:reset_column_information)
    end

    def clear(connection)
      ["tickets", "cars", "garages", "replicates_to_versions"].each { |table| connection.execute("delete from #{table}") }
    end

    private

    def guard_migration
      source = ERB.new(File.read(MIGRATION)).result_with_hash(migration_version: ActiveRecord::Migration.current_version)
      Module.new.module_eval("#{source}\nself::CreateReplicatesToVersions", MIGRATION)
    end

    def columns_of_car(table)
      table.bigint :external_id, index: {unique: true}
      table.string :plate
      table.string :vin, limit: 17, index: {unique: true}
      table.decimal :price, precision: 10, scale: 2
      table.binary :photo
      table.integer :doors, limit: 2
      table.string :fuel
      table.boolean :hidden, default: false, null: false
      table.references :garage, foreign_key: true
      table.datetime :seen_at, precision: 6
    end
  end
end
