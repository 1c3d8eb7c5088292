# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe ReplicatesTo::Note do
  def note(operation, keys: nil, origin: nil, destinations: nil)
    described_class.new(model: "Vehicle", primary_key: "[1]", operation: operation, keys: keys, origin: origin, destinations: destinations)
  end

  # Several statements of one transaction on one row are one note.
  {
    %w[create update] => "create", %w[create delete] => "delete", %w[update update] => "update", %w[update delete] => "delete",
    %w[delete create] => "update", %w[update create] => "update"
  }.each do |(first, second), merged|
    it "of a #{first}, then a #{second}, is a #{merged}" do
      expect(note(first).merge(note(second)).operation).to eq(merged)
    end
  end

  it "keeps the key from before the transaction, whatever the row was called in between" do
    merged = note("update", keys: {"billing" => "a"}).merge(note("update", keys: {"billing" => "b", "search" => "s"}))
    expect(merged.keys).to eq("billing" => "a", "search" => "s")
    expect(merged.merge(note("delete", keys: {"billing" => "c", "search" => "t"})).keys).to eq("billing" => "a", "search" => "s")
  end

  it "of a row that was created here has no key from before, but is deleted under the one it had" do
    created = note("create").merge(note("update", keys: {"billing" => "a"}))
    expect(created.keys).to be_nil
    expect(created.merge(note("delete", keys: {"billing" => "b"})).keys).to eq("billing" => "b")
  end

  it "of a row that was deleted and created again keeps the key that others know" do
    merged = note("delete", keys: {"billing" => "a"}).merge(note("create")).merge(note("update", keys: {"billing" => "b"}))
    expect(merged.keys).to eq("billing" => "a")
  end

  it "has an origin when all its statements have that one" do
    expect(note("update", origin: "crm").merge(note("update", origin: "crm")).origin).to eq("crm")
    expect(note("update", origin: "crm").merge(note("update")).origin).to be_nil
    expect(note("update").merge(note("update", origin: "crm")).origin).to be_nil
  end

  it "is for the destinations of any of its statements" do
    expect(note("update", destinations: %w[a]).merge(note("update", destinations: %w[b])).destinations).to eq(%w[a b])
    expect(note("update", destinations: %w[a]).merge(note("update")).destinations).to be_nil
  end
end
