# frozen_string_literal: true

require "uri"

module Stack
  # Reads rows straight from an application's database: what the comparison sees has passed no application.
  class Database
    # @param url [String] sqlite3:PATH or postgres://…
    def initialize(url)
      @url = url
    end

    # @return [Array<Array<String, nil>>] every value as text
    def rows(sql)
      (@url.start_with?("sqlite3:") ? sqlite(sql) : postgres(sql)).map { |row| row.map { |value| value&.to_s } }
    end

    # Changes rows past every application; on PostgreSQL.
    #
    # @param sql [String]
    # @return [void]
    def execute(sql)
      postgres(sql)
    end

    # @return [Integer]
    def count(table)
      rows("select count(*) from #{table}").first.first.to_i
    end

    private

    def sqlite(sql)
      require "sqlite3"
      database = SQLite3::Database.new(@url.delete_prefix("sqlite3:"), readonly: true)
      database.busy_timeout(5_000)
      database.execute(sql)
    ensure
      database&.close
    end

    def postgres(sql)
      require "pg"
      connection = PG.connect(@url)
      connection.exec(sql).values
    ensure
      connection&.close
    end
  end
end
