# frozen_string_literal: true

require_relative "../spec_helper"
require_relative "rails_app"

RSpec.describe "a Rails application" do
  include_context "with a database on", :postgresql

  let(:app) { RailsApp.new(@database) }

  before { Topic.new(topic_name).create }
  after { app.remove }

  def topic_name
    "#{ReplicatesTo.config['kafka.topic_prefix']}garage.billing.Vehicle"
  end

  def plates
    Topic.new(topic_name).records.map { |record| record.attributes["plate"] }
  end

  def outbox_rows
    ActiveRecord::Base.connection.select_value("select count(*) from replicates_to_outbox")
  end

  describe "rails g replicates_to:install" do
    it "writes a configuration and one migration, and changes nothing when run again" do
      expect(app.rails("g", "replicates_to:install").exit_code).to eq(0)
      files = app.files("{config/replicates_to.yml,db/migrate/*}")
      expect(files).to match(["config/replicates_to.yml", %r{\Adb/migrate/\d{14}_create_replicates_to\.rb\z}])
      contents = files.map { |file| File.read(File.join(app.root, file)) }
      app.rails("g", "replicates_to:install")
      expect(app.files("{config/replicates_to.yml,db/migrate/*}")).to eq(files)
      expect(files.map { |file| File.read(File.join(app.root, file)) }).to eq(contents)
    end

    it "makes tables that check finds right, and that can be taken back" do
      empty = Database.create(:postgresql)
      fresh = RailsApp.new(empty)
      fresh.write("db/migrate/20260101000000_create_vehicles.rb", <<~RUBY)
        class CreateVehicles < ActiveRecord::Migration[6.1]
          def change = create_table(:vehicles) { |t| t.string :plate }
        end
      RUBY
      fresh.rails("g", "replicates_to:install")
      migrated = fresh.rails("db:migrate")
      expect(migrated.exit_code).to eq(0), migrated.error
      expect(fresh.rake("replicates_to:check").output).to include("ok    outbox              replicates_to_outbox, CACHE 1")
      identity = fresh.rails("runner", "p ActiveRecord::Base.connection.select_rows('select * from replicates_to_identity')")
      expect(identity.output).to eq("[[1, nil, nil, nil, 0, nil, 0]]\n")
      expect(fresh.rails("db:rollback").exit_code).to eq(0)
    ensure
      fresh.remove
      empty.drop
    end
  end

  it "does not boot with a wrong configuration, and says all that is wrong" do
    app.write("config/replicates_to.yml", "production:\n  sauce: x\n  generation: 99\n  kafka:\n    broker: y\n")
    result = app.rails("runner", "puts 1")
    expect(result.exit_code).to eq(1)
    expect(result.error).to include("unknown key sauce (did you mean source?)", "generation must be 0-31, not 99",
                                    "unknown key kafka.broker (did you mean kafka.brokers?)")
  end

  it "reads its section through ERB, after which the configure block and the environment win" do
    app.write("config/replicates_to.yml", "production:\n  generation: <%= 1 + 1 %>\n  kafka:\n    partitions: 3\n")
    app.write("config/initializers/replicates_to.rb", "ReplicatesTo.configure { |c| c.kafka.partitions = 4 }\n")
    code = "puts ReplicatesTo.config['generation'], ReplicatesTo.config['kafka.partitions'], ReplicatesTo.config['source']"
    expect(app.rails("runner", code, REPLICATES_TO_GENERATION: "7").output.split).to eq(%w[7 4 garage])
  end

  it "publishes into memory in its tests, once the generator has written the configuration" do
    app.rails("g", "replicates_to:install")
    result = app.rails("runner", <<~RUBY, RAILS_ENV: "test", REPLICATES_TO_KAFKA_BROKERS: "127.0.0.1:1")
      require "replicates_to/testing"
      Vehicle.create!(plate: "KA-1")
      puts ReplicatesTo::Testing.records(to: :billing).map { |record| record.attributes["plate"] }
    RUBY
    expect([result.output, outbox_rows]).to eq(["KA-1\n", 0]), result.error
    expect(plates).to eq([])
  end

  it "takes a signed request of ReplicatesTo::Testing in its integration tests" do
    result = app.rails("runner", <<~RUBY, RAILS_ENV: "test")
      require "replicates_to/receiver"
      require "replicates_to/testing"
      secret = "whsec_\#{["a secret of 24 bytes or more"].pack("m0")}"
      ReplicatesTo::Receiver.configure { |r| r.secrets = [secret]; r.on("Driver") { |record| puts record.attributes["name"] } }
      ActiveRecord::Base.connection.create_table(:replicates_to_versions, primary_key: %i[source model key], temporary: true) do |t|
        %i[source model key].each { |name| t.text name, null: false }
        t.bigint :version, null: false
        t.boolean :deleted, null: false
        t.datetime :applied_at, precision: 6, null: false
      end
      Rails.application.routes.draw { mount ReplicatesTo::Receiver => "/replicates_to" }
      driver = {destination: "billing", source: "monolith", model: "Driver", key: 7, attributes: {name: "Ann"}}
      headers, body = ReplicatesTo::Testing.request(ReplicatesTo::Testing::Record.new(**driver), secret: secret)
      session = ActionDispatch::Integration::Session.new(Rails.application)
      session.post("/replicates_to", params: body, headers: headers)
      puts session.response.body
    RUBY
    expect(result.output).to eq("Ann\n{\"status\":\"applied\"}\n"), result.error
  end

  it "publishes from rails runner before it exits" do
    expect(app.rails("runner", "Vehicle.create!(plate: 'KA-1')").exit_code).to eq(0)
    expect([plates, outbox_rows]).to eq([["KA-1"], 0])
  end

  it "publishes from a rake task before it exits" do
    app.write("lib/tasks/work.rake", "task(work: :environment) { Vehicle.create!(plate: 'KA-1') }\n")
    expect(app.rake("work").exit_code).to eq(0)
    expect([plates, outbox_rows]).to eq([["KA-1"], 0])
  end

  it "publishes nothing from console --sandbox, and can leave it" do
    result = Timeout.timeout(60) do
      app.rails("console", "--sandbox", input: "Vehicle.create!(plate: 'KA-1')\nputs ReplicatesTo.flush(timeout: 2)\nexit\n")
    end
    expect(result.exit_code).to eq(0)
    expect([plates, outbox_rows, Vehicle.count]).to eq([[], 0, 0])
  end

  it "exits with the code of the command" do
    expect(app.rake("replicates_to:check").exit_code).to eq(0)
    expect(app.rake("replicates_to:status").exit_code).to eq(0)
    expect(app.rake("replicates_to:backfill[Nothing]").exit_code).to eq(1)
    expect(app.rake("replicates_to:backfill[Vehicle,billing]").output).to include("succeeded")
    expect(app.rake("replicates_to:sweep", "ONCE=1").exit_code).to eq(0)
    expect(app.rake("replicates_to:check", REPLICATES_TO_KAFKA_TOPIC_PREFIX: "elsewhere#{SecureRandom.hex(4)}.").exit_code).to eq(1)
  end

  it "makes a topic by itself in development" do
    prefix = "gem#{SecureRandom.hex(6)}."
    app.rails("runner", "Vehicle.create!(plate: 'KA-1')", RAILS_ENV: "development", REPLICATES_TO_KAFKA_TOPIC_PREFIX: prefix)
    expect(Topic.new("#{prefix}garage.billing.Vehicle").records.size).to eq(1)
  end

  it "publishes from the workers of a Puma cluster that was preloaded, and ends in time when told to" do
    server = app.serve("-w", "2", PRELOAD: "1")
    answers = Array.new(12) { |n| JSON.parse(server.get("/vehicles/create/KA-#{n}").body) }
    Waiting.until_true { outbox_rows.zero? }
    begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    server.get("/vehicles/create/last")
    server.stop("TERM")
    expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun).to be < 20
    expect(answers.map { |answer| answer["pid"] }).not_to include(server.pid)
    Waiting.until_true { outbox_rows.zero? }
    expect(plates).to match_array(Array.new(12) { |n| "KA-#{n}" } + ["last"])
  end

  it "delivers after a restart what a killed server had committed, without another write" do
    away = {REPLICATES_TO_KAFKA_BROKERS: "127.0.0.1:1", REPLICATES_TO_SWEEP_AFTER: "0s", REPLICATES_TO_SWEEP_INTERVAL: "500ms"}
    server = app.serve(**away)
    server.get("/vehicles/create/KA-1")
    server.stop("KILL")
    expect([plates, outbox_rows]).to eq([[], 1])
    ActiveRecord::Base.connection.execute("update replicates_to_outbox set next_at = null")
    app.serve(**away.except(:REPLICATES_TO_KAFKA_BROKERS))
    Waiting.until_true { outbox_rows.zero? }
    expect(plates).to eq(["KA-1"])
  end
end
