# frozen_string_literal: true

# SQLite for several threads, as Rails has it from 7.1 on: a write-ahead log, transactions that take the write lock when
# they begin (a lock taken later cannot be waited for), and waiting in Ruby. The driver's own `busy_timeout` sleeps with
# the interpreter's lock held, so that the thread it waits for cannot go on either.
module TestApps
  module Sqlite
    WAIT_SECONDS = 0.002
    WAITS_MAX = 5_000

    def begin_db_transaction
      log("begin immediate transaction", "TRANSACTION") { @connection.transaction(:immediate) }
    end

    private

    def configure_connection
      super
      @connection.busy_handler do |waits|
        sleep WAIT_SECONDS
        waits < WAITS_MAX
      end
      execute("pragma journal_mode = wal", "SCHEMA")
      execute("pragma synchronous = normal", "SCHEMA")
    end
  end

  if ActiveRecord.version < Gem::Version.new("7.1")
    ActiveSupport.on_load(:active_record_sqlite3adapter) { prepend Sqlite }
  end
end
