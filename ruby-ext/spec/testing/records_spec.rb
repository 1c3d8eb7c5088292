# frozen_string_literal: true

require_relative "testing_helper"

RSpec.describe ReplicatesTo::Testing::Decoder do
  folder = File.expand_path("../../../proto/fixtures", __dir__)

  JSON.parse(File.read(File.join(folder, "index.json"))).each do |entry|
    describe "the golden record #{entry.fetch('name')}" do
      let(:expected) { File.binread(File.join(folder, entry.fetch("json"))) }
      let(:record) do
        described_class.record("any.prefix.source.#{entry.fetch('destination')}.Model", File.binread(File.join(folder, entry.fetch("bin"))))
      end

      it "becomes the JSON that the relay makes of it, byte for byte" do
        expect(record.json.b == expected).to be(true), record.json[0, 500]
        expect(record.attributes).to eq(JSON.parse(expected)["attributes"] || {})
      end

      it "has its delivery id and its content hash" do
        expect([record.id, record.content_hash]).to eq(entry.values_at("delivery_id", "content_hash"))
      end
    end
  end

  it "says what is sensitive, and where a change came from" do
    decoded = %w[sensitive origin].map { |name| described_class.record("a.billing.b", File.binread(File.join(folder, "#{name}.bin"))) }
    expect(decoded.map { |record| [record.sensitive, record.origin] }).to eq([[%w[phone ssn], nil], [[], "crm"]])
  end
end

RSpec.describe ReplicatesTo::Testing::Record do
  def record(**changes)
    described_class.new(destination: :billing, source: "monolith", model: "Vehicle", key: 42, **changes)
  end

  it "gives Ruby values made by hand the form that they have in a record" do
    made = record(attributes: {price: BigDecimal("10.50"), none: BigDecimal("0"), bought_on: Date.new(2026, 11, 22),
                               at: Time.utc(2026, 11, 22, 6, 46, 0, 123_456), kind: :truck, wheels: [4, nil], extra: {a: 1.5},
                               large: 2**63})
    expect(made.attributes).to eq("price" => "10.5", "none" => "0", "bought_on" => "2026-11-22", "at" => "2026-11-22T06:46:00.123456Z",
                                  "kind" => "truck", "wheels" => [4, nil], "extra" => {"a" => 1.5}, "large" => (2**63).to_s)
    expect(made.attributes.keys).to eq(made.attributes.keys.sort)
  end

  it "refuses a value that no record can hold" do
    expect { record(attributes: {engine: Object.new}) }.to raise_error(ArgumentError, /has no form in a record/)
  end

  it "is equal to another with the same content" do
    at = Time.now
    expect(record(committed_at: at)).to eq(record(committed_at: at))
    expect(record(committed_at: at)).not_to eq(record(committed_at: at, version: 2))
  end

  it "shows no sensitive value where it is inspected" do
    shown = record(attributes: {phone: "555-0199", plate: "KA-01"}, sensitive: %i[phone]).inspect
    expect(shown).to include("Vehicle 42 -> billing, update", "KA-01", "***")
    expect(shown).not_to include("555")
  end
end
