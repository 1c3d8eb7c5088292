# frozen_string_literal: true

require "json"
require "open3"
require "pg"
require "securerandom"
require "tmpdir"

# A database of a consumer application, made for one group of examples: SQLite in a temporary folder, or one of its
# own on the PostgreSQL that `bin/services up` runs.
class ConsumerDatabase
  ADAPTERS = %w[postgresql sqlite3].freeze
  SERVICES = File.expand_path("../../../../bin/services", __dir__)

  def self.create(adapter)
    adapter == "postgresql" ? Postgres.new : Sqlite.new
  end

  # SQLite as an application runs it: a writer-ahead log, and waiting that lets other threads work (the driver's own
  # busy_timeout sleeps with the interpreter's lock held).
  class Sqlite
    def initialize
      @folder = Dir.mktmpdir("receiver")
    end

    def config
      {adapter: "sqlite3", database: File.join(@folder, "consumer.sqlite3"), pool: 10, timeout: nil}
    end

    def prepare(connection)
      connection.raw_connection.busy_handler { sleep 0.001 }
      connection.execute("pragma journal_mode = wal")
    end

    def drop
      FileUtils.rm_rf(@folder)
    end
  end

  # A database with a random name.
  class Postgres
    def initialize
      @name = "receiver_#{SecureRandom.hex(6)}"
      maintain { |admin| admin.exec("create database #{@name}") }
    end

    def config
      {url: URI.parse(server).tap { |url| url.path = "/#{@name}" }.to_s, pool: 10}
    end

    def prepare(_connection); end

    def drop
      maintain { |admin| admin.exec("drop database #{@name} with (force)") }
    end

    private

    def server
      @server ||= begin
        status, = Open3.capture2(SERVICES, "status", "--json")
        postgres = JSON.parse(status).fetch("postgres")
        raise "PostgreSQL does not run: bin/services up" unless postgres["running"]

        postgres.fetch("url")
      end
    end

    def maintain
      admin = PG.connect(server)
      yield admin
    ensure
      admin&.close
    end
  end
end
