# frozen_string_literal: true

# The one row of what people may set: the dearest car that is insured. A record above it is refused until the row is
# changed.
class Setting < ApplicationRecord
  PRICE_MAX = BigDecimal("1000000")

  validates :price_max, numericality: {greater_than: 0}

  def self.current
    first || new(price_max: PRICE_MAX)
  end

  def self.price_max
    current.price_max
  end
end
