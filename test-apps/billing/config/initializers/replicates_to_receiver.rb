# frozen_string_literal: true

require "replicates_to/receiver"

ReplicatesTo::Receiver.configure do |r|
  # The relay's `signing.secrets` of this destination; two of them while one is being replaced.
  r.secrets = [ENV.fetch("BILLING_WEBHOOK_SECRET")]

  r.upsert "Vehicle", into: "Car", key: :external_id, rename: {registration: :plate}, except: %i[vin]
  r.upsert "Owner", into: "Customer", key: :external_id
  r.on("Driver") { |record| RosterEntry.apply(record) }
end
