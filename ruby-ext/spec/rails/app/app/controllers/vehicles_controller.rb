# frozen_string_literal: true

class VehiclesController < ActionController::API
  # A read creates, so that tests need no body.
  def create
    vehicle = Vehicle.create!(plate: params[:plate])
    render json: {id: vehicle.id, pid: Process.pid}
  end
end
