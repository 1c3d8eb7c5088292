# frozen_string_literal: true

require_relative "receiver_helper"

RSpec.describe ReplicatesTo::Receiver::Configuration do
  def configure(secrets: [SignedRequest::SECRET], &block)
    ReplicatesTo::Receiver.configure do |r|
      r.secrets = secrets
      block&.call(r)
    end
  end

  def be_refused(message)
    raise_error(ReplicatesTo::ConfigurationError, "receiver: #{message}")
  end

  it "refuses to start without secrets" do
    expect { configure(secrets: []) }
      .to be_refused("no secrets; set r.secrets, or r.allow_unsigned = true on a laptop")
  end

  it "starts without secrets where that is allowed" do
    expect { configure(secrets: nil) { |r| r.allow_unsigned = true } }.not_to raise_error
  end

  it "refuses a bad secret at once" do
    expect { configure(secrets: ["whsec_c2hvcnQ="]) }.to raise_error(ReplicatesTo::ConfigurationError, /secret 1/)
  end

  {
    'upsert "Vehicle" does not know intoo: (did you mean into:?)' => ["Vehicle", {intoo: "Car", key: :id}],
    'upsert "Vehicle" does not know zzz:' => ["Vehicle", {zzz: 1}],
    'upsert "Vehicle" needs into:' => ["Vehicle", {key: :id}],
    'upsert "Vehicle" needs key:' => ["Vehicle", {into: "Car"}],
    'upsert "Vehicle" takes only: or except:, not both' =>
      ["Vehicle", {into: "Car", key: :id, only: %i[plate], except: %i[price]}],
    'upsert "Vehicle" renames plate, which only: leaves out' =>
      ["Vehicle", {into: "Car", key: :id, only: %i[price], rename: {plate: :registration}}],
    'upsert "Vehicle" renames plate, which except: leaves out' =>
      ["Vehicle", {into: "Car", key: :id, except: %i[plate], rename: {plate: :registration}}],
    '"no model" is not a model name' => ["no model", {into: "Car", key: :id}]
  }.each do |message, (model, options)|
    it "says: #{message}" do
      expect { configure { |r| r.upsert(model, **options) } }.to be_refused(message)
    end
  end

  it "refuses a model declared twice" do
    twice = lambda do |r|
      r.on("Driver") { nil }
      r.upsert "Driver", into: "Person", key: :id
    end

    expect { configure(&twice) }.to be_refused("Driver is declared twice")
  end

  it "refuses on without a block" do
    expect { configure { |r| r.on("Driver") } }.to be_refused('on "Driver" needs a block')
  end
end
