# frozen_string_literal: true

require "json"

module ReplicatesTo
  # What the statements of one transaction did to one row, as the outbox will say it.
  #
  # keys are the public keys that the row had before, by destination, where the row itself cannot tell them: it is gone, or
  # has another key now; of a fan-out, the associations to follow. destinations are the only ones that the row was noted for; nil means all.
  Note = Struct.new(:model, :primary_key, :operation, :keys, :origin, :destinations, keyword_init: true) do
    # @return [Array] notes with equal identities are one note; what becomes of a row and of its dependants are two
    def identity
      [model, primary_key, operation == FanOut::OPERATION]
    end

    # @param later [Note] of the same row, by a later statement of the transaction
    # @return [Note]
    def merge(later)
      Note.new(model: model, primary_key: primary_key, operation: merged_operation(later), keys: merged_keys(later),
               origin: (origin if origin == later.origin),
               destinations: (destinations | later.destinations if destinations && later.destinations))
    end

    # @return [Array<String, nil>] in the order of the outbox's columns
    def columns
      [model, primary_key, operation, keys && JSON.generate(keys), origin, destinations && JSON.generate(destinations)]
    end

    private

    # The last operation says whether the row is there, the first whether it was there before the transaction. One that was,
    # and is there again, may be known to others, who must hear of it even when its condition now leaves it out.
    def merged_operation(later)
      return later.operation if %W[delete #{FanOut::OPERATION}].include?(later.operation)

      operation == "create" ? "create" : "update"
    end

    # The key from before the transaction is the one that others know. A row that was created here had none, but once it is
    # gone again nobody else can say which it was.
    def merged_keys(later)
      return keys if later.keys.nil? || (operation == "create" && later.operation != "delete")

      later.keys.merge(keys || {})
    end
  end
end
