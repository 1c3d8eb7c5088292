# frozen_string_literal: true

class CarsController < ApplicationController
  def index
    render json: Car.order(:id)
  end
end
