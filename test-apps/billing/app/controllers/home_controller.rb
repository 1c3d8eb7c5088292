# frozen_string_literal: true

class HomeController < ApplicationController
  SHOWN = 20

  def index
    @setting = Setting.current
    @cars = Car.order(updated_at: :desc, id: :desc).limit(SHOWN)
    @car_count = Car.count
    @customers = Customer.order(:name).limit(SHOWN)
    @roster = RosterEntry.order(:display_name).limit(SHOWN)
  end
end
