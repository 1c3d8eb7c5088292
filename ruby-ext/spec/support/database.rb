# frozen_string_literal: true

require "pg"
require "securerandom"
require "tmpdir"
require "uri"

# A database with a random name, gone afterwards.
class Database
  attr_reader :config

  def self.create(adapter)
    adapter == :postgresql ? PostgreSQL.new : SQLite.new
  end

  class PostgreSQL < Database
    def initialize
      super
      @name = "replicates_to_#{SecureRandom.hex(6)}"
      on_server("create database #{@name}")
      url = URI(Services.postgres_url).tap { |uri| uri.path = "/#{@name}" }
      @config = {adapter: "postgresql", url: url.to_s, pool: 12}
    end

    def drop
      on_server("drop database #{@name} with (force)")
    end

    private

    def on_server(sql)
      connection = PG.connect(Services.postgres_url)
      connection.exec(sql)
    ensure
      connection&.close
    end
  end

  class SQLite < Database
    def initialize
      super
      @directory = Dir.mktmpdir("replicates_to")
      path = File.join(@directory, "test.sqlite3")
      SQLite3::Database.new(path) { |database| database.execute("pragma journal_mode = wal") }
      @config = {adapter: "sqlite3", database: path, pool: 12, timeout: 5000}
    end

    def drop
      FileUtils.rm_rf(@directory)
    end
  end
end

require "sqlite3"
