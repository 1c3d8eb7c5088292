# frozen_string_literal: true

class Vehicle < ActiveRecord::Base
  include ReplicatesTo

  replicates_to :billing, only: %i[plate]
end
