# frozen_string_literal: true

class Vehicle < ApplicationRecord
  include ReplicatesTo

  replicates_to :billing, except: %i[id notes created_at updated_at], rename: {plate: :registration},
                          compute: {age: :age_in_years, owner_name: ->(vehicle) { vehicle.owner&.name }},
                          includes: :owner, volatile: %i[age]

  belongs_to :owner, optional: true

  validates :plate, presence: true

  # @return [Integer, nil] by the calendar year; changes by itself, hence volatile
  def age_in_years
    built_on && (Date.current.year - built_on.year)
  end
end
