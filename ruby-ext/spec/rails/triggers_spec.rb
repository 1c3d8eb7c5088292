# frozen_string_literal: true

require_relative "../spec_helper"
require_relative "rails_app"

RSpec.describe "triggers in a Rails application" do
  let(:database) { Database.create(:postgresql) }
  let(:app) { RailsApp.new(database) }

  before(:all) { Settings.apply }

  before do
    app.write("config/replicates_to.yml", "production:\n  coverage: triggers\n")
    app.write("db/migrate/20260101000000_create_vehicles.rb", <<~RUBY)
      class CreateVehicles < ActiveRecord::Migration[6.1]
        def change = create_table(:vehicles) { |t| t.string :plate }
      end
    RUBY
    app.rails("g", "replicates_to:install")
    migrate
  end

  after do
    app.remove
    database.drop
  end

  def migrate(direction = "migrate")
    result = app.rails("db:#{direction}")
    expect(result.exit_code).to eq(0), result.error
  end

  def generate(*arguments)
    result = app.rails("g", "replicates_to:triggers", *arguments)
    expect(result.exit_code).to eq(0), result.error
    app.files("db/migrate/*_by_triggers*")
  end

  def on_database
    connection = PG.connect(database.config[:url])
    yield connection
  ensure
    connection&.close
  end

  # What SQL by hand leaves in the outbox.
  def noted
    on_database do |connection|
      connection.exec("insert into vehicles (plate) values ('KA-1')")
      connection.exec("delete from replicates_to_outbox returning model, operation").values
    end
  end

  def use_another_class
    app.write("app/models/vehicle.rb", "class Vehicle < ActiveRecord::Base\nend\n")
    app.write("app/models/car.rb", <<~RUBY)
      class Car < ActiveRecord::Base
        self.table_name = "vehicles"
        include ReplicatesTo
        replicates_to :billing
      end
    RUBY
  end

  describe "rails g replicates_to:install --triggers" do
    it "writes a configuration that asks for them" do
      FileUtils.rm(File.join(app.root, "config/replicates_to.yml"))
      app.rails("g", "replicates_to:install", "--triggers")
      expect(app.rails("runner", "puts ReplicatesTo.config['coverage']").output).to eq("triggers\n")
    end
  end

  describe "rails g replicates_to:triggers" do
    it "writes one migration, which notes what SQL by hand does, and none when run again, but where it is told to" do
      written = generate("Vehicle")
      expect(written).to match([%r{\Adb/migrate/\d{14}_replicate_vehicles_by_triggers\.rb\z}])
      expect(generate).to eq(written)
      expect(generate("--again").size).to eq(2)
      migrate
      expect(noted).to eq([%w[Vehicle create]])
    end

    it "writes another when the model has changed, whose way back leads to the one before, whose own leads to none" do
      generate("Vehicle")
      migrate
      use_another_class
      expect(generate("Car").last).to end_with("_replicate_vehicles_by_triggers_2.rb")
      migrate
      expect(noted).to eq([%w[Car create]])
      migrate("rollback")
      expect(noted).to eq([%w[Vehicle create]])
      migrate("rollback")
      expect(noted).to eq([])
    end

    it "names what it does not know" do
      result = app.rails("g", "replicates_to:triggers", "Vehicel")
      expect(result.error).to include("Vehicel declares no replicates_to and no republishes (did you mean Vehicle?)")
      expect(result.exit_code).to eq(1)
    end

    it "refuses another database" do
      app.write("db/empty.sqlite3", "")
      app.run("-e", <<~RUBY)
        require "sqlite3"
        SQLite3::Database.new("db/empty.sqlite3").execute("create table vehicles (id integer primary key)")
      RUBY
      result = app.rails("g", "replicates_to:triggers", DATABASE_URL: "sqlite3:db/empty.sqlite3")
      expect(result.error).to include("Vehicle: coverage: triggers works on PostgreSQL, not on SQLite")
    end
  end

  describe "a schema that is loaded" do
    let(:another) { Database.create(:postgresql) }

    after { another.drop }

    # A pg_dump that is newer than its server writes a setting that this server refuses.
    def forget_what_only_newer_servers_know
      path = File.join(app.root, "db/structure.sql")
      File.write(path, File.read(path).sub(/^SET transaction_timeout = 0;\n/, "")) if File.exist?(path)
    end

    # What check says of the triggers in a database that was made from the dumped schema.
    def coverage_of_a_copy(format)
      app.write("config/initializers/schema_format.rb", "Rails.application.config.active_record.schema_format = :#{format}\n")
      generate("Vehicle")
      migrate
      forget_what_only_newer_servers_know
      copy = {DATABASE_URL: another.config[:url], DISABLE_DATABASE_ENVIRONMENT_CHECK: "1"}
      loaded = app.rails("db:schema:load", **copy)
      expect(loaded.exit_code).to eq(0), loaded.error
      app.rake("replicates_to:check", **copy).output.lines.grep(/coverage/).map(&:chomp)
    end

    it "has the triggers in structure.sql" do
      expect(coverage_of_a_copy(:sql)).to eq(["ok    coverage            vehicles, by triggers"])
    end

    it "lacks the triggers in schema.rb, and check says so" do
      expect(coverage_of_a_copy(:ruby)).to eq(
        ["FAIL  coverage            vehicles has no triggers that note its changes: " \
         "run rails g replicates_to:triggers Vehicle --again, then rails db:migrate (schema.rb keeps no triggers, structure.sql does)"]
      )
    end
  end
end
