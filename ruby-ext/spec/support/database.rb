# frozen_string_literal: true

require "pg"
require "securerandom"
require "tmpdir"
require "uri"

# A database with a random name, gone afterwards.
class Database
  attr_reader :config

  # @param options [Hash] of PostgreSQL: `encoding` of the database, `client` of Rails' connections
  def self.create(adapter, options = {})
    adapter == :postgresql ? PostgreSQL.new(**options) : SQLite.new
  end

  class PostgreSQL < Database
    def initialize(encoding: nil, client: nil)
      super()
      @name = "replicates_to_#{SecureRandom.hex(6)}"
      on_server("create database #{@name}#{" template template0 encoding '#{encoding}' locale 'C'" if encoding}")
      url = URI(Services.postgres_url).tap { |uri| uri.path = "/#{@name}" }
      @config = {adapter: "postgresql", url: url.to_s, pool: 12, encoding: client}.compact
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
