# frozen_string_literal: true

require_relative "testing_helper"
require_relative "../receiver/receiver_helper"

RSpec.describe ReplicatesTo::Testing, ".request" do
  secret = "whsec_cmVwbGljYXRlcy10by10ZXN0LXZlY3Rvci1zZWNyZXQ="

  def sample(**changes)
    ReplicatesTo::Testing::Record.new(
      destination: "billing", source: "monolith", model: "Vehicle", key: "42", version: 918_273,
      committed_at: Time.utc(2026, 11, 22, 6, 46, 0, 123_456), attributes: {registration: "KA-01", price: "10.50"}, **changes
    )
  end

  def request(records, secret: SignedRequest::SECRET)
    described_class.request(records, secret: secret)
  end

  it "meets the published vector" do
    headers, body = described_class.request(sample, secret: secret, at: Time.at(1_795_329_965))
    expect(body).to eq('{"id":"dlv_efa644ab8997bd28db3dd3a5d03bc386_918273","source":"monolith","model":"Vehicle","key":"42",' \
                       '"operation":"update","version":918273,"committed_at":"2026-11-22T06:46:00.123456Z",' \
                       '"attributes":{"price":"10.50","registration":"KA-01"}}')
    expect(headers).to include("webhook-id" => "dlv_efa644ab8997bd28db3dd3a5d03bc386_918273", "webhook-timestamp" => "1795329965",
                               "webhook-signature" => "v1,9r/rIXT1a+ZlndZe1lbrvET78Owl8HQz9lGafLTdmhs=")
  end

  it "has exactly the headers of the relay" do
    headers, = request(sample(key: "a b/é", model: "Fleet::Car", origin: "other-app", content_hash: "a19a94433086aa7b8a3ab2521b0ebd0c"))
    id = headers.fetch("webhook-id")
    expect(headers.except("webhook-signature", "webhook-timestamp", "webhook-id")).to eq(
      "content-type" => "application/json", "user-agent" => "replicates-relay/#{ReplicatesTo::VERSION}",
      "idempotency-key" => "#{id}_a19a94433086aa7b", "replicates-to-destination" => "billing", "replicates-to-source" => "monolith",
      "replicates-to-model" => "Fleet%3A%3ACar", "replicates-to-key" => "a%20b%2F%C3%A9", "replicates-to-operation" => "update",
      "replicates-to-version" => "918273", "replicates-to-attempt" => "1", "replicates-to-origin" => "other-app"
    )
  end

  it "is signed by each secret, newest first" do
    other = "whsec_#{['a newer secret of 24 bytes'].pack('m0')}"
    headers, = described_class.request(sample, secret: [other, secret], at: Time.at(1_795_329_965))
    signatures = headers.fetch("webhook-signature").split
    expect([signatures.size, signatures.last]).to eq([2, "v1,9r/rIXT1a+ZlndZe1lbrvET78Owl8HQz9lGafLTdmhs="])
  end

  it "is a batch for an Array, also of one" do
    records = [sample, sample(key: "43")]
    headers, body = request(records)
    expect(JSON.parse(body)).to eq("records" => records.map { |one| JSON.parse(one.json) })
    ids = records.map(&:id).join("\n")
    expect(headers.keys).to contain_exactly("content-type", "user-agent", "webhook-signature", "webhook-id", "webhook-timestamp")
    expect(headers.fetch("webhook-id")).to eq("bat_#{Digest::SHA256.hexdigest(ids)[0, 32]}")
    expect(JSON.parse(request([sample]).last).keys).to eq(%w[records])
  end

  it "refuses what the relay would not send together, and what is no secret" do
    expect { request([]) }.to raise_error(ArgumentError, "a request carries at least one record")
    expect { request([sample, sample(version: 918_274)]) }
      .to raise_error(ArgumentError, "a batch has one record of a key at most, and Vehicle 42 is there twice")
    expect { request([sample, sample(key: "43", destination: "search")]) }
      .to raise_error(ArgumentError, "a request goes to one destination, not to billing and search")
    expect { request("Vehicle") }.to raise_error(ArgumentError, /carries records, .* not "Vehicle"/)
    expect { request(sample, secret: "s3cret") }.to raise_error(ReplicatesTo::ConfigurationError, /whsec_/)
  end

  describe "against a receiver" do
    include_context "with a consumer on", :sqlite

    # As Rack hands it over.
    def deliver_request(request)
      headers, body = request
      env = headers.to_h { |name, value| ["HTTP_#{name.upcase.tr('-', '_')}", value] }
      env = env.merge("REQUEST_METHOD" => "POST", "CONTENT_TYPE" => env.delete("HTTP_CONTENT_TYPE"), "rack.input" => StringIO.new(body))
      status, _, parts = ReplicatesTo::Receiver.call(env)
      [status, JSON.parse(parts.join)]
    end

    it "is applied" do
      expect(deliver_request(request(sample(attributes: {registration: "KA-01"})))).to eq([200, {"status" => "applied"}])
      expect(car("42").plate).to eq("KA-01")
      gone = sample(version: 918_274, operation: "delete")
      expect(deliver_request(request([gone]))).to eq([200, {"results" => [{"id" => gone.id, "status" => "applied"}]}])
      expect(car("42")).to be_nil
    end

    it "is refused under another secret" do
      expect(deliver_request(request(sample, secret: secret_of_nobody)).first).to eq(401)
    end

    def secret_of_nobody
      "whsec_#{['a secret that nobody else knows'].pack('m0')}"
    end
  end
end
