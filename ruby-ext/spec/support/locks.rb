# frozen_string_literal: true

# Whether a session of this database waits for a lock. Its server is shared with other tests, whose sessions wait too; a
# lock on a transaction belongs to no database, but who waits for it has locked a table of one.
module Locks
  module_function

  # @param kinds [Array<String>] as pg_locks calls them
  # @return [String] a query that has a row then
  def awaited(*kinds)
    <<~SQL
      select 1 from pg_locks waiting
      where not waiting.granted and waiting.locktype in (#{kinds.map { |kind| "'#{kind}'" }.join(', ')}) and exists (
        select from pg_locks held join pg_database on pg_database.oid = held.database
        where held.pid = waiting.pid and pg_database.datname = current_database())
    SQL
  end
end
