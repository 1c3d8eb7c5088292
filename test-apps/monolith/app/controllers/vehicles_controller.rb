# frozen_string_literal: true

class VehiclesController < RowsController
  # Several vehicles in one transaction: one that is wrong takes all of them back.
  def import
    vehicles = Vehicle.transaction do
      params.require(:vehicles).map { |vehicle| Vehicle.create!(vehicle.permit(*permitted)) }
    end
    render json: vehicles, status: :created
  end

  private

  def model
    Vehicle
  end

  def permitted
    %i[owner_id vin plate price built_on notes]
  end
end
