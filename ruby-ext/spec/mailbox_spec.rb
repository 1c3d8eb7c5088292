# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe ReplicatesTo::Publisher::Mailbox do
  subject(:mailbox) { described_class.new }

  it "hands out together what several transactions left while the thread was busy" do
    mailbox.wake("primary", [1])
    mailbox.wake("animals", [1])
    mailbox.wake("primary", [2, 3])
    expect(mailbox.wait(0).wakes).to eq("primary" => [1, 2, 3], "animals" => [1])
    expect(mailbox.wait(0).wakes).to be_empty
  end

  it "leaves to the sweep what does not fit" do
    expect(mailbox.wake("primary", (1..1_001).to_a)).to be(false)
    9.times { |number| expect(mailbox.wake("primary", Array.new(1_000) { |id| (number * 1_000) + id })).to be(true) }
    expect(mailbox.wake("primary", (9_000..9_999).to_a)).to be(true)
    expect(mailbox.wake("primary", [10_000])).to be(false)
    mailbox.wait(0)
    expect(mailbox.wake("primary", [10_000])).to be(true)
  end
end
