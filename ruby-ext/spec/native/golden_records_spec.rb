# frozen_string_literal: true

require_relative "native_helper"
require_relative "../../../proto/fixtures/content_hash"
require_relative "../../../proto/fixtures/fixture"

RSpec.describe "Golden records" do
  index = JSON.parse(File.read(File.join(Fixture::FOLDER, "index.json"))).to_h { |entry| [entry.fetch("name"), entry] }

  it "lists every defined record in its index, and no other file lies beside them" do
    names = Fixture.all.map(&:name)
    expect(index.keys).to eq(names)
    expect(Dir.children(Fixture::FOLDER).grep(/\.bin\z/)).to match_array(names.map { |name| "#{name}.bin" })
  end

  Fixture.all.each do |fixture|
    describe fixture.name do
      it "is encoded to exactly the golden bytes" do
        bytes = fixture.encode
        expect(bytes.encoding).to eq(Encoding::BINARY)
        expect(bytes == File.binread(fixture.path("bin"))).to be(true), "#{fixture.name}: #{bytes.inspect[0, 500]}"
      end

      it "is defined as its JSON and its index say" do
        expect(fixture.expected.json.b == File.binread(fixture.path("json"))).to be(true), fixture.expected.json[0, 500]
        entry = index.fetch(fixture.name)
        expect(entry.fetch("content_hash")).to eq(ContentHash.of(File.binread(fixture.path("bin"))))
        expect(entry.fetch("delivery_id")).to eq(fixture.expected.delivery_id)
      end
    end
  end

  it "meets the published vector" do
    entry = index.fetch("interface_vector")
    expect(entry.values_at("content_hash", "delivery_id"))
      .to eq(%w[a19a94433086aa7b8a3ab2521b0ebd0c dlv_efa644ab8997bd28db3dd3a5d03bc386_918273])
  end
end
