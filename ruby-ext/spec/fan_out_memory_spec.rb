# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/memory"

ADAPTERS.each do |adapter|
  [true, false].each do |transactional|
    RSpec.describe "fan-outs in memory on #{adapter}, #{transactional ? 'inside a test’s transaction' : 'with real commits'}" do
      include_context "with a database on", adapter
      include_context "in memory", transactional: transactional

      let(:author) { ReplicatesTo.disabled { Author.create!(name: "Ann") } }

      it "are done when the write returns, however many dependants there are" do
        ReplicatesTo.disabled { Book.insert_all!(Array.new(1_100) { |n| {title: "B#{n}", author_id: author.id} }) }
        author.update!(name: "Bea")
        expect(published(model: Book).map { |record| record.attributes["author"] }.tally).to eq("Bea" => 1_100)
        expect(noted).to eq([])
      end

      it "of a bulk write are done as well" do
        ReplicatesTo.disabled { Book.create!(title: "B", author: author) }
        Author.update_all(name: "Bea")
        expect(published(model: Book).map { |record| record.attributes["author"] }).to eq(["Bea"])
      end

      it "that cannot go on raise into the write" do
        stub_const("Poet", Class.new(Author))
        Poet.republishes :verses
        poet = ReplicatesTo.disabled { Poet.create!(name: "Pia") }
        refusal = /\APoet: republishes :verses, which is not an association/
        expect { poet.update!(name: "Pam") }.to raise_error(ReplicatesTo::MappingError, refusal)
        expect(ActiveRecord::Base.connection.select_value("select name from authors")).to eq("Pam")
      end
    end
  end
end
