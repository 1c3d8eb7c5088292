# frozen_string_literal: true

class DriversController < RowsController
  private

  def model
    Driver
  end

  def permitted
    %i[name licensed]
  end
end
