# frozen_string_literal: true

require "bigdecimal"
require "bigdecimal/util"
require "date"
require_relative "database"

module Stack
  # What billing's tables must hold, computed from the monolith's, row by row.
  class Comparison
    PREMIUM_RATE = BigDecimal("0.03")

    # @param monolith [Database]
    # @param billing [Database]
    def initialize(monolith, billing)
      @monolith = monolith
      @billing = billing
    end

    # @return [String, nil] what differs first; nil when both agree
    def difference
      table(:cars, expected_cars, cars) || table(:customers, owners, customers) || table(:roster, drivers, roster)
    end

    # @return [Integer] cars in billing
    def cars_count
      @billing.count("cars")
    end

    private

    def table(name, expected, found)
      return if expected == found

      key = (expected.keys | found.keys).find { |candidate| expected[candidate] != found[candidate] }
      differing = (expected.keys | found.keys).count { |candidate| expected[candidate] != found[candidate] }
      "#{differing} #{name} differ, first #{key}: should be #{expected[key].inspect}, is #{found[key].inspect}"
    end

    def expected_cars
      vehicles = @monolith.rows(<<~SQL)
        select vehicles.id, owner_id, owners.name, plate, price, built_on
        from vehicles left join owners on owners.id = owner_id
      SQL
      vehicles.to_h do |id, owner_id, owner_name, plate, price, built_on|
        premium = price && (price.to_d * PREMIUM_RATE).round(2)
        [id, [owner_id, owner_name, plate, decimal(price), decimal(premium), built_on, age(built_on)]]
      end
    end

    def cars
      rows = @billing.rows("select external_id, owner_id, owner_name, plate, price, premium, built_on, age from cars")
      rows.to_h do |id, owner_id, owner_name, plate, price, premium, built_on, age|
        [id, [owner_id, owner_name, plate, decimal(price), decimal(premium), built_on, age]]
      end
    end

    def owners
      @monolith.rows("select id, name, email from owners").to_h { |id, *values| [id, values] }
    end

    def customers
      @billing.rows("select external_id, name, email from customers").to_h { |id, *values| [id, values] }
    end

    def drivers
      @monolith.rows("select id, name from drivers where licensed").to_h { |id, name| [id, [name.upcase]] }
    end

    def roster
      @billing.rows("select driver_key, display_name from roster_entries").to_h { |id, name| [id, [name]] }
    end

    # SQLite keeps decimals as numbers, PostgreSQL with their scale.
    def decimal(value)
      value && value.to_d.to_s("F")
    end

    def age(built_on)
      built_on && (Date.today.year - Date.parse(built_on).year).to_s
    end
  end
end
