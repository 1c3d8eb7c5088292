# frozen_string_literal: true

class CustomersController < ApplicationController
  def index
    render json: Customer.order(:id)
  end
end
