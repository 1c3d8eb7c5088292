# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe ReplicatesTo::Outbox::Row do
  def row(id, operation = "update", transaction_id: 7, **values)
    described_class.new(id: id, model: "Vehicle", primary_key: "[1]", operation: operation, keys: {}, transaction_id: transaction_id,
                        created_at: [id, 0], attempts: 0, **values)
  end

  def coalesce(*rows)
    described_class.coalesce(rows)
  end

  it "stands for those of its transaction that name the same row, under the last one's id" do
    rows = coalesce(row(1, attempts: 2), row(2, model: "Owner"), row(3))
    expect(rows.map(&:ids)).to eq([[2], [1, 3]])
    expect(rows.last.to_h).to include(id: 3, created_at: [3, 0], attempts: 2)
  end

  it "says what they did together" do
    expect(coalesce(row(1, "create"), row(2)).first.operation).to eq("create")
    expect(coalesce(row(1), row(2, "delete"), row(3, "create")).first.operation).to eq("update")
    expect(coalesce(row(1, keys: {"shop" => "a"}), row(2, keys: {"shop" => "b"})).first.keys).to eq("shop" => "a")
    expect(coalesce(row(1, origin: "crm"), row(2)).first.origin).to be_nil
    expect(coalesce(row(1, destinations: %w[a]), row(2, destinations: %w[b])).first.destinations).to eq(%w[a b])
    expect(coalesce(row(1, destinations: %w[a]), row(2)).first.destinations).to be_nil
  end

  # Somebody may have published the row in between, or taken a key that it gave away.
  it "stands for none of another transaction, nor of an unknown one" do
    expect(coalesce(row(1), row(2, transaction_id: 8)).map(&:ids)).to eq([[1], [2]])
    expect(coalesce(row(1, transaction_id: nil), row(2, transaction_id: nil)).map(&:ids)).to eq([[1], [2]])
  end

  it "keeps a fan-out apart from the row's own change" do
    expect(coalesce(row(1), row(2, "fan_out")).size).to eq(2)
  end
end
