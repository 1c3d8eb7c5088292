# frozen_string_literal: true

class Owner < ApplicationRecord
  include ReplicatesTo

  replicates_to :billing, only: %i[name email], sensitive: %i[email]
  # Billing's cars carry the owner's name.
  republishes :vehicles, if: :saved_change_to_name?

  has_many :vehicles, dependent: :destroy

  validates :name, presence: true
end
