# frozen_string_literal: true

require_relative "receiver_helper"

RSpec.describe ReplicatesTo::Receiver::Signature do
  secret = "whsec_cmVwbGljYXRlcy10by10ZXN0LXZlY3Rvci1zZWNyZXQ="
  body = '{"id":"dlv_efa644ab8997bd28db3dd3a5d03bc386_918273","source":"monolith","model":"Vehicle","key":"42",' \
         '"operation":"update","version":918273,"committed_at":"2026-11-22T06:46:00.123456Z",' \
         '"attributes":{"price":"10.50","registration":"KA-01"}}'
  genuine = "v1,9r/rIXT1a+ZlndZe1lbrvET78Owl8HQz9lGafLTdmhs="

  define_method(:problem) do |secrets: [secret], seconds_later: 0, **changes|
    request = {id: "dlv_efa644ab8997bd28db3dd3a5d03bc386_918273", timestamp: "1795329965", signature: genuine, body: body}
    described_class.new(secrets).problem(**request, **changes, now: Time.at(1_795_329_965 + seconds_later))
  end

  it "takes the published vector" do
    expect(problem).to be_nil
  end

  it "takes a request that any of several secrets signed" do
    other = "whsec_#{['another secret, 24 bytes+'].pack('m0')}"

    expect(problem(secrets: [other, secret])).to be_nil
  end

  it "takes a request of which any signature is genuine" do
    expect(problem(signature: "v1a,x v1,#{['f' * 32].pack('m0')} #{genuine}")).to be_nil
  end

  it "refuses a changed body, id or time" do
    expect(problem(body: body.sub("10.50", "10.51"))).to match(/does not match/)
    expect(problem(id: "dlv_efa644ab8997bd28db3dd3a5d03bc386_918274")).to match(/does not match/)
    expect(problem(timestamp: "1795329966")).to match(/does not match/)
  end

  it "refuses a secret that is not among its own" do
    expect(problem(secrets: ["whsec_#{['a secret that signed nothing'].pack('m0')}"])).to match(/does not match/)
  end

  it "refuses a missing or meaningless header" do
    expect(problem(signature: nil)).to match(/missing/)
    expect(problem(signature: "")).to match(/does not match/)
    expect(problem(timestamp: "tomorrow")).to match(/number of seconds/)
  end

  it "refuses what is further away than 300 seconds, on either side" do
    expect(problem(seconds_later: 300)).to be_nil
    expect(problem(seconds_later: -300)).to be_nil
    expect(problem(seconds_later: 301)).to eq("webhook-timestamp is 301 s away")
    expect(problem(seconds_later: -301)).to eq("webhook-timestamp is 301 s away")
  end

  it "names a bad secret by its place and never shows it" do
    ["whsec_c2hvcnQ=", "whsec_not base64!", "plain text", nil].each do |bad|
      expect { described_class.new([secret, bad]) }
        .to raise_error(ReplicatesTo::ConfigurationError, "receiver: secret 2 is not whsec_ followed by base64 of 24-64 bytes")
    end
  end
end
