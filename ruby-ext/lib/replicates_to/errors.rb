# frozen_string_literal: true

# Every error this gem raises. The native extension looks these classes up, so the file loads on its own.
module ReplicatesTo
  # Parent of all errors of this gem.
  class Error < StandardError; end

  # A bad value in config/replicates_to.yml, an environment variable or a configure block, a missing migration,
  # or a librdkafka property that does not exist. The message lists every problem found.
  class ConfigurationError < Error; end

  # `replicates_to` was declared in a way that cannot mean anything. Raised while the class loads; no database is touched.
  class DeclarationError < Error; end

  # A declaration does not fit the table: raised when the columns are needed.
  class MappingError < Error; end

  # A value of a row cannot be put into a record. The outbox row stays, with this error.
  class EncodeError < Error; end

  # A bulk write on a replicated model, which would change rows without noting them.
  class BulkWriteRefused < Error; end

  # A backfill's fence did not pass in time; the message names the session that held it up.
  class FenceTimeout < Error; end

  # The same backfill is running elsewhere, or was begun under another mapping.
  class RunConflict < Error; end

  # `replicate!` of a record that has no row.
  class NotPersisted < Error; end
end
