# frozen_string_literal: true

require_relative "receiver_helper"

RSpec.describe ReplicatesTo::Receiver do
  ConsumerDatabase::ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a consumer on", adapter

      # Whatever the block answers, no table has changed.
      def expect_refusal(status, code)
        before = everything
        answer = yield
        expect([answer.status, answer.json.dig("error", "code")]).to eq([status, code])
        expect(answer.json.dig("error", "message")).to be_a(String)
        expect(everything).to eq(before)
        answer
      end

      describe "answers to a single record" do
        it "are applied, also when the version was applied before" do
          2.times do
            answer = deliver(record(version: 7, registration: "KA-01"))

            expect([answer.status, answer.json]).to eq([200, {"status" => "applied"}])
            expect(answer.headers["content-type"]).to eq("application/json")
          end
        end

        it "are stale with the version that is held" do
          deliver(record(version: 9, registration: "KA-09"))

          answer = deliver(record(version: 7, registration: "KA-07"))

          expect([answer.status, answer.json]).to eq([200, {"status" => "stale", "version" => 9}])
          expect(car(42).plate).to eq("KA-09")
        end

        it "are 422 for a record which the model refuses" do
          answer = expect_refusal(422, "invalid_record") { deliver(record(registration: "")) }

          expect(answer.json.dig("error", "message")).to eq("Validation failed: Plate can't be blank")
        end

        it "are 422 for a model that nobody declared" do
          expect_refusal(422, "unknown_model") { deliver(record(model: "Boat")) }
        end

        it "are 424 while the parent row is missing, and applied once it is there" do
          expect_refusal(424, "failed_dependency") { deliver(record(model: "Ticket", key: "1", car_id: 5)) }
          Consumer::Car.create!(id: 5, plate: "KA-05")

          expect(deliver(record(model: "Ticket", key: "1", car_id: 5)).json).to eq("status" => "applied")
        end

        it "are 424 for a foreign key that the database enforces" do
          expect_refusal(424, "failed_dependency") { deliver(record(registration: "KA-01", garage_id: 3)) }
        end

        it "are 424 for the delete of a row that others still need" do
          garage = Consumer::Garage.create!
          garage.cars.create!(plate: "KA-01")

          expect_refusal(424, "failed_dependency") do
            deliver(record(model: "Garage", key: garage.id.to_s, operation: "delete"))
          end
        end

        it "are 409 while another row holds a unique value, which is retried" do
          deliver(record(key: "1", registration: "KA-01", vin: "W1"))

          expect_refusal(409, "conflict") { deliver(record(key: "2", registration: "KA-02", vin: "W1")) }
        end

        it "are 500 for anything else, told to Notifications and not to the sender" do
          described_class.configure do |r|
            r.secrets = [SignedRequest::SECRET]
            r.on("Driver") { |driver| raise "no driver is called #{driver.attributes['name']}" }
          end
          errors = []
          answer = ActiveSupport::Notifications.subscribed(->(*, payload) { errors << payload }, "error.replicates_to") do
            expect_refusal(500, "internal_error") { deliver(record(model: "Driver", name: "Ada")) }
          end

          expect(answer.json.dig("error", "message")).to eq("RuntimeError")
          expect(errors).to match([include(kind: :receiver, model: "Driver", primary_key: "42", destination: nil,
                                           exception: have_attributes(message: "no driver is called Ada"))])
        end

        it "are 422 when a handler rolls back, because nothing was applied" do
          described_class.configure do |r|
            r.secrets = [SignedRequest::SECRET]
            r.on("Driver") { raise ActiveRecord::Rollback }
          end

          expect_refusal(422, "invalid_record") { deliver(record(model: "Driver")) }
        end
      end

      describe "answers to a request that is refused whole" do
        it "are 401 for a forged, a missing and a stale signature" do
          genuine = record(registration: "KA-01")

          expect_refusal(401, "unauthorized") { deliver(genuine, secret: "whsec_#{['f' * 32].pack('m0')}") }
          expect_refusal(401, "unauthorized") { deliver(genuine, secret: nil) }
          expect_refusal(401, "unauthorized") { deliver(genuine, at: Time.now - 330) }
          expect_refusal(401, "unauthorized") { deliver(genuine, at: Time.now + 330) }
          expect(deliver(genuine).status).to eq(200)
        end

        it "are 405 for another method" do
          answer = expect_refusal(405, "method_not_allowed") { deliver(record, env: {"REQUEST_METHOD" => "PUT"}) }

          expect(answer.headers["allow"]).to eq("POST")
        end

        it "are 415 for another content type, and charset does not matter" do
          expect_refusal(415, "unsupported_media_type") { deliver(record, env: {"CONTENT_TYPE" => "text/plain"}) }
          expect_refusal(415, "unsupported_media_type") { deliver(record, env: {"CONTENT_TYPE" => nil}) }

          answer = deliver(record(registration: "KA-01"), env: {"CONTENT_TYPE" => "application/json; charset=utf-8"})
          expect(answer.status).to eq(200)
        end

        it "are 413 above 8 MiB, by the header or by the bytes" do
          eight_mib = 8 * 1024 * 1024
          expect_refusal(413, "too_large") { deliver(record, env: {"CONTENT_LENGTH" => (eight_mib + 1).to_s}) }
          expect_refusal(413, "too_large") { deliver(record(registration: "x" * eight_mib)) }
        end

        it "are 400 for what is not JSON or not a record" do
          good = record(registration: "KA-01")
          bad = ["{", "", "\xff", "[]", "7", {"records" => []}, {"records" => 7}, good.except("version"),
                 good.merge("version" => "1"), good.merge("version" => 1 << 53), good.merge("version" => 0),
                 good.merge("key" => ""), good.merge("key" => "a\u0000"), good.merge("key" => 42),
                 good.merge("source" => "Mono lith"), good.merge("model" => "7"), good.merge("id" => nil),
                 good.merge("operation" => "merge"), good.merge("operation" => "delete"),
                 good.merge("attributes" => nil), good.merge("committed_at" => "yesterday")]

          bad.each { |content| expect_refusal(400, "malformed") { deliver(content) } }
        end
      end

      describe "answers to a batch" do
        it "name what became of each record" do
          deliver(record(key: "2", version: 9, registration: "KA-02"))
          batch = [record(key: "1", registration: "KA-01"), record(key: "2", registration: "KA-02"),
                   record(key: "3", registration: ""), record(key: "4", registration: "KA-04", garage_id: 3),
                   record(model: "Boat")]

          answer = deliver({"records" => batch})

          expect(answer.status).to eq(200)
          expect(answer.json["results"]).to match(
            [{"id" => "dlv_vehicle1_1", "status" => "applied"},
             {"id" => "dlv_vehicle2_1", "status" => "stale", "version" => 9},
             {"id" => "dlv_vehicle3_1", "status" => "rejected", "error" => "Validation failed: Plate can't be blank"},
             {"id" => "dlv_vehicle4_1", "status" => "retry", "error" => be_a(String)},
             {"id" => "dlv_boat42_1", "status" => "rejected", "error" => be_a(String)}]
          )
          expect(Consumer::Car.pluck(:external_id)).to contain_exactly(1, 2)
        end

        it "are results for a batch of one as well" do
          answer = deliver({"records" => [record(registration: "KA-01")]})

          expect(answer.json).to eq("results" => [{"id" => "dlv_vehicle42_1", "status" => "applied"}])
        end

        it "are 400 for the whole batch if one of it is no record" do
          expect_refusal(400, "malformed") { deliver({"records" => [record(registration: "KA-01"), {"id" => "x"}]}) }
        end
      end

      it "tells Notifications what was received, without values" do
        events = []
        ActiveSupport::Notifications.subscribed(->(*, payload) { events << payload }, "receive.replicates_to") do
          deliver({"records" => [record(key: "1", registration: "A", wheels: 4), record(key: "2", registration: "B", b: 1)]})
          deliver(record(registration: ""))
          deliver(record, secret: nil)
        end

        vehicle = {source: "monolith", model: "Vehicle", operation: "update"}
        expect(events).to eq(
          [{**vehicle, status: :applied, records: 2, unknown_attributes: %w[b wheels]},
           {**vehicle, status: :invalid_record, records: 1, unknown_attributes: []},
           {source: nil, model: nil, operation: nil, status: :unauthorized, records: 0, unknown_attributes: []}]
        )
      end
    end
  end

  context "with a log" do
    include_context "with a consumer on", "sqlite3"

    around do |example|
      logger = ActiveRecord::Base.logger
      ActiveRecord::Base.logger = Logger.new(@log = StringIO.new, level: :info)
      example.run
    ensure
      ActiveRecord::Base.logger = logger
    end

    it "writes a line for what was refused or not taken, and none for what went well" do
      deliver(record(key: "1", registration: "KA-01"))
      deliver(record(key: "2", registration: "KA-02", wheels: 4))
      deliver(record(key: "3", registration: ""))

      expect(@log.string.lines.grep(/replicates_to/)).to match(
        [/received source=monolith model=Vehicle operation=update status=applied records=1 unknown_attributes=wheels$/,
         /received source=monolith model=Vehicle operation=update status=invalid_record records=1$/]
      )
    end
  end

  context "with postgresql" do
    include_context "with a consumer on", "postgresql"

    after { ActiveRecord::Base.connection.reconnect! }

    it "answers 503 when the server ends the connection in the middle of a record" do
      described_class.configure do |r|
        r.secrets = [SignedRequest::SECRET]
        r.on("Driver") { ActiveRecord::Base.connection.execute("select pg_terminate_backend(pg_backend_pid())") }
      end

      answer = deliver(record(model: "Driver"))

      expect([answer.status, answer.json.dig("error", "code")]).to eq([503, "unavailable"])
    end
  end

  context "without a database that answers" do
    include_context "with a consumer on", "sqlite3"

    before do
      # Port 1 is never PostgreSQL's.
      ActiveRecord::Base.establish_connection(adapter: "postgresql", host: "127.0.0.1", port: 1)
    end

    after { ActiveRecord::Base.establish_connection(@database.config) }

    it "answers 503 and when to come again" do
      single = deliver(record)
      batch = deliver({"records" => [record, record(key: "43")]})

      expect([single.status, single.headers["retry-after"]]).to eq([503, "5"])
      expect([batch.status, batch.json.dig("error", "code")]).to eq([503, "unavailable"])
    end
  end

  it "refuses to answer before it is configured" do
    described_class.instance_variable_set(:@endpoint, nil)

    expect { described_class.call({}) }.to raise_error(ReplicatesTo::ConfigurationError, /not configured/)
  end
end
