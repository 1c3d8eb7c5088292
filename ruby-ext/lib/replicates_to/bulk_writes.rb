# frozen_string_literal: true

module ReplicatesTo
  # Writes that change rows without naming them, or past the callbacks, would leave consumers behind for ever. They are
  # refused while they cannot be noted soundly.
  module BulkWrites
    module_function

    # @param model [Class] whose table is written
    # @param write [Symbol] what was called
    # @raise [BulkWriteRefused] when rows of a replicated model could change
    def refuse(model, write)
      replicated = Registry.touched_by(model)
      raise BulkWriteRefused, message(replicated, write) if replicated && Noting.on?
    end

    # @return [String]
    def message(model, write)
      "#{model.name}: #{write} changes rows that replicates_to cannot note; " \
        "write inside ReplicatesTo.disabled { } and publish with rake replicates_to:backfill[#{model.name}]"
    end
  end

  # Instance methods of a model that includes ReplicatesTo. Constant-free, because it is among the model's ancestors:
  # inside the model `Record` must not mean ours.
  module RecordWrites
    # @raise [BulkWriteRefused]
    def update_columns(*)
      BulkWrites.refuse(self.class, :update_columns)
      super
    end

    # @raise [BulkWriteRefused]
    def delete
      BulkWrites.refuse(self.class, :delete)
      super
    end
  end
end
