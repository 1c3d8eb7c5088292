# frozen_string_literal: true

class OwnersController < RowsController
  private

  def model
    Owner
  end

  def permitted
    %i[name email]
  end
end
