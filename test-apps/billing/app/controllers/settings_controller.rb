# frozen_string_literal: true

class SettingsController < ApplicationController
  def show
    render json: Setting.current
  end

  def update
    setting = Setting.current
    if setting.update(params.permit(:price_max))
      render json: setting
    else
      render json: {error: setting.errors.full_messages.to_sentence}, status: :unprocessable_entity
    end
  end
end
