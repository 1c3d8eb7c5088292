# frozen_string_literal: true

class Driver < ApplicationRecord
  include ReplicatesTo

  replicates_to :billing, except: %i[id created_at updated_at], if: :licensed?

  validates :name, presence: true
end
