# frozen_string_literal: true

class VehiclesController < RowsController
  # Several vehicles in one transaction: one that is wrong takes all of them back.
  def import
    vehicles = Vehicle.transaction do
      params.require(:vehicles).map { |vehicle| Vehicle.create!(vehicle.permit(*permitted)) }
    end
    render json: vehicles, status: :created
  end

  # All vehicles of an owner become dearer by one statement, which runs no callback.
  def reprice
    changed = Vehicle.where(owner_id: params.require(:owner_id)).update_all(["price = price + ?", params.require(:by).to_d])
    render json: {changed: changed}
  end

  private

  def model
    Vehicle
  end

  def permitted
    %i[owner_id vin plate price built_on notes]
  end
end
