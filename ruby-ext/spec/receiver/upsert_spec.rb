# frozen_string_literal: true

require_relative "receiver_helper"

RSpec.describe ReplicatesTo::Receiver::Upsert do
  ConsumerDatabase::ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a consumer on", adapter

      # @param options [Hash] of upsert
      def declare(model, **options)
        ReplicatesTo::Receiver.configure do |r|
          r.secrets = [SignedRequest::SECRET]
          r.upsert model, key: :external_id, into: "Consumer::Car", **options
        end
      end

      def rejected(answer)
        [answer.status, answer.json.dig("error", "code"), answer.json.dig("error", "message")]
      end

      it "builds the row of a key, changes it, destroys it" do
        deliver(record(version: 1, operation: "create", registration: "KA-01", price: "10.50"))
        expect(car(42)).to have_attributes(plate: "KA-01", price: BigDecimal("10.50"))

        deliver(record(version: 2, registration: "KA-02", price: nil))
        expect(car(42)).to have_attributes(plate: "KA-02", price: nil)

        deliver(record(version: 3, operation: "delete"))
        expect(car(42)).to be_nil
      end

      it "takes updates and snapshots of rows it never had, and deletes of rows it does not have" do
        deliver(record(key: "1", operation: "update", registration: "KA-01"))
        deliver(record(key: "2", operation: "snapshot", registration: "KA-02"))

        expect(deliver(record(key: "3", operation: "delete")).json).to eq("status" => "applied")
        expect(Consumer::Car.pluck(:plate)).to contain_exactly("KA-01", "KA-02")
      end

      it "does not bring a deleted row back with an older record" do
        deliver(record(version: 5, operation: "delete"))

        expect(deliver(record(version: 4, registration: "KA-04")).json).to eq("status" => "stale", "version" => 5)
        expect(car(42)).to be_nil
      end

      it "makes a deleted key again with a newer record" do
        deliver(record(version: 5, operation: "delete"))
        deliver(record(version: 6, registration: "KA-06"))

        expect(car(42).plate).to eq("KA-06")
        expect(everything["replicates_to_versions"].map { |row| row.values_at(2, 3) }).to eq([["42", 6]])
      end

      it "leaves the table's own id alone unless it is named" do
        deliver(record(key: "42", id: 777, registration: "KA-01"))

        expect(car(42).id).not_to eq(777)

        declare "Vehicle", rename: {registration: :plate, id: :id}
        deliver(record(key: "43", id: 888, registration: "KA-02"))
        expect(car(43).id).to eq(888)
      end

      it "never lets an attribute overwrite the key" do
        deliver(record(external_id: 999, registration: "KA-01"))

        expect(Consumer::Car.pluck(:external_id)).to eq([42])
      end

      it "keeps what only: names, and what except: does not" do
        declare "Vehicle", only: %i[plate]
        deliver(record(key: "1", plate: "KA-01", price: "10.50"))
        declare "Vehicle", except: %i[price]
        deliver(record(key: "2", plate: "KA-02", price: "10.50"))

        expect(Consumer::Car.order(:plate).pluck(:plate, :price)).to eq([["KA-01", nil], ["KA-02", nil]])
      end

      it "finds a row behind a default scope instead of building a second" do
        deliver(record(version: 1, registration: "KA-01", hidden: true))
        deliver(record(version: 2, registration: "KA-02", hidden: true))

        expect(Consumer::Car.unscoped.pluck(:plate)).to eq(["KA-02"])
      end

      it "reads bytes, times and writers of the application" do
        deliver(record(registration: "KA-01", photo: ["\x00\xff".b].pack("m0"), note: "x",
                       seen_at: "2026-11-22T06:46:00.123456Z"))

        expect(car(42)).to have_attributes(photo: "\x00\xff".b, seen_at: Time.utc(2026, 11, 22, 6, 46, 0, 123_456))
      end

      it "ignores associations and writers that every model has" do
        expect(deliver(record(registration: "KA-01", garage: "x", attributes: {"plate" => "y"})).status).to eq(200)
        expect(car(42).plate).to eq("KA-01")
      end

      it "refuses a key that its column cannot hold, rather than find a foreign row" do
        Consumer::Car.create!(external_id: 0, plate: "KA-00")

        answer = deliver(record(key: "abc", operation: "delete"))

        expect(rejected(answer)).to eq([422, "invalid_record", 'key "abc" does not fit cars.external_id'])
        expect(car(0)).to be_present
      end

      {
        "a number that is too large" => {doors: 70_000},
        "a word the application does not know" => {fuel: "plutonium"},
        "bytes that are not base64" => {photo: "?"}
      }.each do |what, attributes|
        it "rejects #{what}, without quoting it" do
          answer = deliver(record(registration: "KA-01", **attributes))

          expect(rejected(answer)).to match([422, "invalid_record", be_a(String)])
          expect(answer.json.to_s).not_to include(attributes.values.first.to_s) unless attributes.key?(:photo)
          expect(car(42)).to be_nil
        end
      end
    end
  end

  context "with postgresql" do
    include_context "with a consumer on", "postgresql"

    it "rejects a text with a null byte, which no column of PostgreSQL takes" do
      answer = deliver(record(registration: "KA\u000001"))

      expect([answer.status, answer.json.dig("error", "code")]).to eq([422, "invalid_record"])
    end

    it "rejects a text that is too long for its column, without quoting the row" do
      answer = deliver(record(registration: "KA-01", vin: "SECRET" * 4))

      expect([answer.status, answer.json.dig("error", "code")]).to eq([422, "invalid_record"])
      expect(answer.json.to_s).not_to include("SECRET")
    end
  end
end
