# frozen_string_literal: true

require "bigdecimal"
require "date"

# A row of 20 attributes as an application has them: numbers, texts, money, dates, times.
module Row
  FIELDS = {
    id: :integer, owner_id: :integer, mileage: :integer, seats: :integer, doors: :integer, vin: :string, registration: :string,
    make: :string, model: :string, colour: :string, fuel: :string, country: :string, notes: :string, price: [:decimal, 2],
    tax: [:decimal, 4], first_registered_on: :date, created_at: :timestamp, updated_at: :timestamp, active: :bool, consumption: :float
  }.map { |name, (kind, scale)| [name.to_s, kind, scale, false, false] }.freeze

  VALUES = {
    "id" => 918_273, "owner_id" => 4_711, "mileage" => 123_456, "seats" => 5, "doors" => 4, "vin" => "WVWZZZ1JZXW000001",
    "registration" => "KA-RT 1234", "make" => "Volkswagen", "model" => "Golf Variant", "colour" => "Tornadorot", "fuel" => "Diesel",
    "country" => "DE", "notes" => "Zweiter Satz Reifen liegt im Lager, Anhängerkupplung nachgerüstet.", "price" => BigDecimal("12999.50"),
    "tax" => BigDecimal("0.1900"), "first_registered_on" => Date.new(2019, 3, 14), "created_at" => Time.at(1_752_000_000, 123_456),
    "updated_at" => Time.at(1_795_329_960, 654_321), "active" => true, "consumption" => 5.7
  }.freeze

  # @return [Array] the values in the order of these names
  def self.values(names)
    VALUES.fetch_values(*names)
  end
end
