# frozen_string_literal: true

# Commits that take a while, now and then: the time between drawing a version and its being seen is where orders go wrong.
module Lingering
  module_function

  # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
  # @param share [Float] of the commits
  # @param seconds [Float] at most
  def commits(connection, share:, seconds:)
    connection.execute(<<~SQL)
      create function linger() returns trigger language plpgsql as $$
      begin if random() < #{share} then perform pg_sleep(random() * #{seconds}); end if; return null; end $$;
      create constraint trigger linger after insert on replicates_to_outbox deferrable initially deferred
      for each row execute function linger();
    SQL
  end
end
