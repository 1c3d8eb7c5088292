# frozen_string_literal: true

# Drivers who may be on the road; written by hand, where `upsert` would not do.
class RosterEntry < ApplicationRecord
  # @param record [ReplicatesTo::Receiver::Record]
  def self.apply(record)
    entry = find_or_initialize_by(driver_key: record.key)
    return entry.destroy! if record.delete?

    entry.update!(display_name: record.attributes.fetch("name").upcase)
  end
end
