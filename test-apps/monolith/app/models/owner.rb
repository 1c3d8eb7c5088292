# frozen_string_literal: true

class Owner < ApplicationRecord
  include ReplicatesTo

  replicates_to :billing, only: %i[name email], sensitive: %i[email]

  has_many :vehicles, dependent: :destroy

  validates :name, presence: true

  # Billing's cars carry the owner's name, and a compute is fresh only when its own row is written.
  after_update(if: :saved_change_to_name?) { vehicles.each(&:touch) }
end
