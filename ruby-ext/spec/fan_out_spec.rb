# frozen_string_literal: true

require_relative "spec_helper"

COVERAGES.each do |adapter, coverage|
  RSpec.describe "what a changed owner notes (#{adapter}, #{coverage})" do
    include_context "with a database on", adapter
    include_context "covered by", coverage
    include_context "without a publisher"

    after { Author.after_write = nil }

    let!(:author) { ReplicatesTo.disabled { Author.create!(name: "Ann", city: "Rome") } }

    # [["Author", 1, ["books", "editors"]], …]; nil stands for all associations.
    def fan_outs
      outbox_rows.select(&:fan_out?).map { |row| [row.model, JSON.parse(row.primary_key).first, row.keys.presence&.keys&.sort] }
    end

    def followed
      expect(fan_outs.size).to eq(1)
      fan_outs.first.last
    end

    it "is one fan-out, and nothing of its own, as it does not replicate" do
      author.update!(name: "Bea")
      expect(noted).to eq([["Author", author.id, "fan_out"]])
      expect(followed).to eq(%w[awards books editors portrait])
      expect(woken.flat_map(&:last).size).to eq(1)
    end

    it "asks the conditions of the record that was saved", if: coverage == "callbacks" do
      author.update!(city: "Oslo")
      expect(followed).to eq(%w[awards portrait])
    end

    it "is what any of the saves of a transaction asked for" do
      Author.transaction do
        author.update!(city: "Oslo")
        author.update!(name: "Bea", city: "Bern")
        author.update!(city: "Paris")
      end
      expect(followed).to eq(%w[awards books editors portrait])
    end

    it "is nothing for a save that changes nothing, and for what is rolled back" do
      author.save!
      Author.transaction do
        author.update!(name: "Bea")
        raise ActiveRecord::Rollback
      end
      ReplicatesTo.disabled { author.update!(name: "Cleo") }
      expect(noted).to eq([])
    end

    it "is noted before a callback can raise, when the transaction commits all the same" do
      Author.after_write = ->(_) { raise "no" }
      Author.transaction do
        author.update(name: "Bea")
      rescue RuntimeError
        nil
      end
      expect(author.reload.name).to eq("Bea")
      expect(followed).to include("books")
    end

    it "is noted though its condition raises, which the application hears of", if: coverage == "callbacks" do
      allow(author).to receive(:saved_change_to_name?).and_raise("no")
      Author.transaction do
        expect { author.update!(name: "Bea") }.to raise_error("no")
      end
      expect(followed).to include("books")
    end

    # Nobody can be asked there: `books` waits for a change of the name alone, what `editors` waits for is not known.
    {
      "update_columns" => [->(one) { one.update_columns(name: "Bea") }, %w[awards books editors portrait]],
      "update_columns of something else" => [->(one) { one.update_columns(city: "Oslo") }, %w[awards editors portrait]],
      "destroy" => [->(one) { one.destroy! }, %w[awards books editors portrait]],
      "delete" => [->(one) { one.delete }, %w[awards books editors portrait]],
      "update_all" => [->(_) { Author.update_all(name: "Bea") }, %w[awards books editors portrait]],
      "update_all of something else" => [->(_) { Author.update_all(city: "Oslo") }, %w[awards editors portrait]],
      "update_all of SQL" => [->(_) { Author.update_all("city = upper(city), name = upper(name)") }, %w[awards books editors portrait]],
      "update_all of other SQL" => [->(_) { Author.update_all("city = name") }, %w[awards editors portrait]],
      "delete_all" => [->(_) { Author.delete_all }, %w[awards books editors portrait]],
      # Triggers know that this one is new.
      "upsert_all" => [->(_) { Author.upsert_all([{id: 7, name: "Bea"}]) },
                       %w[awards books editors] + (coverage == "triggers" ? [] : %w[portrait])],
      "insert_all" => [->(_) { Author.insert_all([{name: "Bea"}]) }, %w[awards books editors]]
    }.each do |name, (write, associations)|
      it "follows what may have changed after #{name}" do
        write.call(author)
        expect(fan_outs.map(&:last)).to eq(associations.empty? ? [] : [associations])
        expect(woken.flat_map(&:last).size).to eq(fan_outs.size)
      end
    end

    it "asks the record after a touch, which is what children do to their parents", if: coverage == "callbacks" do
      author.touch
      expect(followed).to eq(%w[awards portrait])
    end

    it "cannot ask a record that a child touches at the commit" do
      stub_const("Pamphlet", Class.new(ActiveRecord::Base))
      Pamphlet.table_name = "books"
      Pamphlet.belongs_to :author, touch: true
      Pamphlet.create!(title: "P", author: Author.find(author.id))
      expect(followed).to eq(%w[awards editors portrait])
    end

    it "follows every association of a row that goes by another key" do
      author.update!(id: author.id + 1_000)
      expect(fan_outs.map(&:last)).to eq([%w[awards books editors portrait]] * 2)
    end

    it "asks, too, where the application has put a method of its own over Rails'", if: coverage == "callbacks" do
      stub_const("Diarist", Class.new(Author) { def saved_change_to_name? = true })
      diarist = ReplicatesTo.disabled { Diarist.create!(name: "Dan") }
      diarist.update_columns(city: "Oslo")
      expect(followed).to include("books")
    end

    it "names the class of each row" do
      novelist = ReplicatesTo.disabled { Novelist.create!(name: "Nia") }
      Author.update_all(city: "Oslo")
      expect(fan_outs.map { |row| row.first(2) }).to contain_exactly(["Author", author.id], ["Novelist", novelist.id])
    end

    # A row that a foreign key holds cannot have been there before.
    it "of a new owner leads to those dependants that may have been there before it" do
      Author.create!(name: "Bea")
      expect(followed).to eq(%w[awards books editors])
    end

    it "carries where the change came from" do
      ReplicatesTo.with_origin("crm") { author.update!(name: "Bea") }
      expect(ActiveRecord::Base.connection.select_values("select origin from replicates_to_outbox")).to eq(["crm"])
    end

    it "is beside the row's own note" do
      novelist = Novelist.create!(name: "Nia")
      expect(noted).to contain_exactly(["Novelist", novelist.id, "create"], ["Novelist", novelist.id, "fan_out"])
      ActiveRecord::Base.connection.execute("delete from replicates_to_outbox")
      Author.where(id: novelist.id).update_all(city: "Oslo")
      expect(noted).to contain_exactly(["Novelist", novelist.id, "update"], ["Novelist", novelist.id, "fan_out"])
    end
  end
end
