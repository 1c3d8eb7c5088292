# frozen_string_literal: true

class RosterEntriesController < ApplicationController
  def index
    render json: RosterEntry.order(:id)
  end
end
