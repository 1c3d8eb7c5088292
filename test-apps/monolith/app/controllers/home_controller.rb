# frozen_string_literal: true

class HomeController < ApplicationController
  SHOWN = 20

  def index
    @vehicles = Vehicle.includes(:owner).order(updated_at: :desc, id: :desc).limit(SHOWN)
    @vehicle_count = Vehicle.count
    @owners = Owner.order(:name).limit(SHOWN)
    @drivers = Driver.order(:name).limit(SHOWN)
  end
end
