# frozen_string_literal: true

# What the three JSON resources have in common. Subclasses say `model` and `permitted`.
class RowsController < ApplicationController
  rescue_from ActiveRecord::RecordNotFound do
    render json: {error: "not found"}, status: :not_found
  end
  rescue_from ActiveRecord::RecordInvalid do |error|
    render json: {error: error.message}, status: :unprocessable_entity
  end

  def index
    render json: model.order(:id)
  end

  def show
    render json: row
  end

  def create
    render json: model.create!(values), status: :created
  end

  def update
    row.update!(values)
    render json: row
  end

  def destroy
    row.destroy!
    head :no_content
  end

  private

  def row
    @row ||= model.find(params[:id])
  end

  def values
    params.permit(*permitted)
  end
end
