# frozen_string_literal: true

# A vehicle of the monolith as billing sees it: under its own id, with the premium it is insured for.
class Car < ApplicationRecord
  PREMIUM_RATE = BigDecimal("0.03")

  validates :plate, presence: true
  validates :price, numericality: {less_than_or_equal_to: ->(_car) { Setting.price_max }}, allow_nil: true

  before_save { self.premium = price && (price * PREMIUM_RATE).round(2) }
end
