# frozen_string_literal: true

# Two replicated models that Rails writes in every way it knows: counter caches, touches, dependents.
class Fleet < ActiveRecord::Base
  include ReplicatesTo

  replicates_to :billing, only: %i[name cars_count]
  republishes :cars, if: :saved_change_to_name?

  has_many :cars, dependent: :nullify
  has_many :leased_cars, class_name: "Car", foreign_key: :lessor_id, dependent: :delete_all
end

class Car < ActiveRecord::Base
  include ReplicatesTo

  class << self
    # Code that runs inside callbacks of every car, or as its compute.
    attr_accessor :after_write, :after_the_commit, :computing
  end

  belongs_to :fleet, optional: true, counter_cache: true, touch: true

  replicates_to :billing, only: %i[plate number active fleet_id lessor_id],
                          compute: {fleet_name: ->(car) { car.fleet&.name }, pace: ->(_) { computing&.call }}, includes: :fleet

  after_save { self.class.after_write&.call }
  after_commit { self.class.after_the_commit&.call }

  # Tables, and what a test needs to know about their rows' pasts.
  module Tables
    module_function

    def create
      ActiveRecord::Schema.define do
        suppress_messages do
          create_table(:fleets) do |t|
            t.string :name
            t.integer :cars_count, null: false, default: 0
            t.timestamps precision: 6
          end
          create_table(:cars) do |t|
            t.bigint :fleet_id
            t.bigint :lessor_id
            t.string :plate
            t.integer :number, null: false, default: 0
            t.boolean :active, null: false, default: true
            t.timestamps precision: 6
          end
        end
      end
      [Fleet, Car].each(&:reset_column_information)
    end
  end
end
