# frozen_string_literal: true

require_relative "spec_helper"

ADAPTERS.each do |adapter|
  RSpec.describe ReplicatesTo::FanOut::Slice, "on #{adapter}" do
    include_context "with a database on", adapter
    include_context "without a publisher"

    # The outboxes as this thread's own connections see them.
    let(:context) do
      Class.new do
        def within(database)
          yield ReplicatesTo::Outbox.on(database.constantize.connection)
        end
      end.new
    end

    let(:author) { unnoted { Author.create!(name: "Ann") } }

    def unnoted(&block)
      ReplicatesTo.disabled(&block)
    end

    def books(count, **values)
      unnoted { Array.new(count) { |n| Book.create!(title: "B#{n}", author: author, **values) } }
    end

    def fan_out(*associations, origin: nil)
      note = ReplicatesTo::Note.new(model: "Author", primary_key: "[#{author.id}]", operation: "fan_out", origin: origin,
                                    keys: associations.to_h { |name| [name.to_s, nil] })
      outbox.insert("monolith", [note]).first
    end

    def run(id)
      described_class.new(context, "ActiveRecord::Base", id).run
    end

    def run_to_the_end(id)
      Array.new(10) { run(id) }.compact
    end

    def left(id)
      text = ActiveRecord::Base.connection.select_value("select keys from replicates_to_outbox where id = #{id}")
      text && JSON.parse(text)
    end

    def notes
      noted.reject { |_, _, operation| operation == "fan_out" }
    end

    # As triggers leave them, a row for each statement.
    it "follows what several statements of one transaction left together, each association once", if: adapter == :postgresql do
      books(2)
      unnoted { Portrait.create!(author: author) }
      ids = ActiveRecord::Base.transaction { [fan_out(:books), fan_out(:portrait), fan_out(:books)] }
      2.times { described_class.new(context, "ActiveRecord::Base", ids.last, ids.first(2)).run }
      expect(notes.map(&:first)).to contain_exactly("Book", "Book", "Portrait")
      expect(ids.map { |id| left(id) }).to eq([nil] * 3)
    end

    it "leaves one that has begun to itself", if: adapter == :postgresql do
      all = books(2)
      ids = ActiveRecord::Base.transaction { Array.new(2) { fan_out(:books) } }
      ActiveRecord::Base.connection.execute(<<~SQL)
        update replicates_to_outbox set keys = '{"books":"[#{all.first.id}]"}' where id = #{ids.first}
      SQL
      described_class.new(context, "ActiveRecord::Base", ids.last, ids.first(1)).run
      expect(notes.size).to eq(2)
      expect(left(ids.first)).to eq("books" => "[#{all.first.id}]")
    end

    it "notes dependants in the order of their keys, a slice each, and leaves when there are no more" do
      stub_const("ReplicatesTo::FanOut::Slice::SIZE", 2)
      all = books(5)
      id = fan_out(:books)
      first = run(id)
      expect(first.ids.size).to eq(2)
      expect(first.more).to be(true)
      expect(left(id)).to eq("books" => "[#{all[1].id}]")
      expect([run(id), run(id)].map(&:more)).to eq([true, false])
      expect(noted).to eq(all.map { |book| ["Book", book.id, "update"] })
      expect(run(id)).to be_nil
    end

    it "follows has_many past default scopes, and names each row's class" do
      hidden, shown = books(1, hidden: true) + books(1)
      comic = unnoted { Comic.create!(title: "C", author: author) }
      unnoted { Book.create!(title: "of nobody") }
      run_to_the_end(fan_out(:books))
      expect(noted).to eq([["Book", hidden.id, "update"], ["Book", shown.id, "update"], ["Comic", comic.id, "update"]])
    end

    it "follows has_one, to every row that points to its owner" do
      portraits = unnoted { Array.new(2) { Portrait.create!(author: author) } }
      run_to_the_end(fan_out(:portrait))
      expect(noted).to eq(portraits.map { |row| ["Portrait", row.id, "update"] })
    end

    it "follows a polymorphic association" do
      award = unnoted { Award.create!(winner: author) }
      unnoted { Award.create!(winner_id: author.id, winner_type: "Book") }
      run_to_the_end(fan_out(:awards))
      expect(noted).to eq([["Award", award.id, "update"]])
    end

    it "follows an association through another, to each row once" do
      editor = unnoted { Editor.create!(name: "Ed") }
      unnoted { 2.times { Contract.create!(author: author, editor: editor) } }
      run_to_the_end(fan_out(:editors))
      expect(noted).to eq([["Editor", editor.id, "update"]])
    end

    it "follows an association through a table without a model" do
      Author.has_and_belongs_to_many :coeditors, class_name: "Editor", join_table: "contracts", association_foreign_key: :editor_id
      editor = unnoted { Editor.create!(name: "Ed").tap { |one| Contract.create!(author: author, editor: one) } }
      run_to_the_end(fan_out(:coeditors))
      expect(noted).to eq([["Editor", editor.id, "update"]])
    ensure
      Author.send(:remove_const, :HABTM_Coeditors)
    end

    it "follows an association with a scope" do
      Author.has_many :loud_books, -> { where(title: "LOUD").order(title: :desc).limit(1) }, class_name: "Book"
      books(1)
      loud = unnoted { Array.new(2) { Book.create!(title: "LOUD", author: author) } }
      run_to_the_end(fan_out(:loud_books))
      expect(noted).to eq(loud.map { |book| ["Book", book.id, "update"] })
    end

    it "follows the associations of an owner that is gone" do
      book = books(1).first
      id = fan_out(:books)
      unnoted { author.delete }
      run_to_the_end(id)
      expect(noted).to eq([["Book", book.id, "update"]])
    end

    it "follows every association of the class where none is named" do
      book = books(1).first
      award = unnoted { Award.create!(winner: author) }
      run_to_the_end(outbox.insert("monolith", [note("Author", "[#{author.id}]", "fan_out")]).first)
      expect(noted).to eq([["Book", book.id, "update"], ["Award", award.id, "update"]])
      run_to_the_end(outbox.insert("monolith", [note("Book", "[#{book.id}]", "fan_out")]).first)
      expect(noted.size).to eq(2)
    end

    it "keeps where the change came from" do
      books(1)
      run_to_the_end(fan_out(:books, origin: "crm"))
      expect(ActiveRecord::Base.connection.select_values("select origin from replicates_to_outbox")).to eq(["crm"])
    end

    it "passes by a fan-out that is gone" do
      expect(run(4711)).to be_nil
    end

    it "is undone as a whole: what was noted, and where the next one begins", if: adapter == :postgresql do
      books(1)
      id = fan_out(:books)
      allow_any_instance_of(ReplicatesTo::Outbox.on(ActiveRecord::Base.connection).class).to receive(:delete).and_raise("killed")
      expect { run(id) }.to raise_error("killed")
      expect(notes).to eq([])
      expect(left(id)).to eq("books" => nil)
    end

    describe "of an association that cannot be followed" do
      def refused(*associations)
        run(fan_out(*associations))
        nil
      rescue ReplicatesTo::MappingError => e
        e.message
      end

      it "says so" do
        Author.belongs_to :publisher, class_name: "Editor"
        Author.has_many :namesakes, class_name: "Book", foreign_key: :title, primary_key: :name
        Author.has_many :local_books, ->(one) { where(title: one.city) }, class_name: "Book"
        Author.has_many :letters
        expect(refused(:book)).to eq("Author: republishes :book, which is not an association (did you mean books?)")
        expect(refused(:publisher)).to eq("Author: republishes :publisher, which leads up: belongs_to :publisher, touch: true " \
                                          "reaches the old parent as well as the new")
        way_out = /republishes :\w+, which cannot be followed from the primary key of authors alone.*after_commit \{ \w+\.replicate \}/
        expect(refused(:namesakes)).to match(way_out)
        expect(refused(:local_books)).to match(way_out)
        # In Rails' own words, which differ.
        expect(refused(:letters)).to match(/\AAuthor: republishes :letters, which does not work: .*\bLetter\b/)
        expect(refused(:contracts)).to eq("Author: republishes :contracts, but Contract does not replicate anywhere")
      end

      it "follows the others first" do
        book = books(1).first
        id = fan_out(:nothing, :books)
        run(id)
        expect(notes).to eq([["Book", book.id, "update"]])
        expect(left(id)).to eq("nothing" => nil)
      end

      it "names a model that is gone" do
        id = outbox.insert("monolith", [note("Gone", "[1]", "fan_out")]).first
        expect { run(id) }.to raise_error(ReplicatesTo::MappingError, "Gone is not a replicated model of this application")
      end
    end

    context "with dependants in another database" do
      before do
        @elsewhere = Database.create(:sqlite)
        stub_const("Elsewhere", Class.new(ActiveRecord::Base) { self.abstract_class = true })
        Elsewhere.establish_connection(@elsewhere.config)
        Models.migration_class.new.tap { |migration| migration.verbose = false }.exec_migration(Elsewhere.connection, :up)
        Elsewhere.connection.create_table(:ebooks) { |t| t.bigint :author_id }
        # Rails remembers classes by their names.
        stub_const("EbookOn#{adapter}", ebook = Class.new(Elsewhere) { include ReplicatesTo })
        ebook.table_name = "ebooks"
        ebook.replicates_to :billing
        Author.has_many :ebooks, class_name: ebook.name
      end

      after do
        Elsewhere.remove_connection
        @elsewhere.drop
      end

      it "notes them in their own outbox, and goes on in its owner's" do
        stub_const("ReplicatesTo::FanOut::Slice::SIZE", 2)
        all = unnoted { Array.new(3) { Author.reflect_on_association(:ebooks).klass.create!(author_id: author.id) } }
        id = fan_out(:ebooks)
        expect(run(id).database).to eq("Elsewhere")
        expect(left(id)).to eq("ebooks" => "[#{all[1].id}]")
        run(id)
        expect(noted).to eq([])
        keys = Elsewhere.connection.select_values("select primary_key from replicates_to_outbox order by id")
        expect(keys).to eq(all.map { |row| "[#{row.id}]" })
      end
    end

    if adapter == :postgresql
      context "while somebody else holds a lock" do
        # Whoever waited for it would wait for ever.
        before { ActiveRecord::Base.connection.execute("set lock_timeout = '5s'") }
        after { ActiveRecord::Base.connection.execute("reset lock_timeout") }

        def holding(sql)
          held, done = Queue.new, Queue.new
          holder = Thread.new do
            ActiveRecord::Base.connection_pool.with_connection do |connection|
              connection.transaction do
                connection.execute(sql)
                held << true
                done.pop
              end
            end
          end
          held.pop
          yield
        ensure
          done << true
          holder.join
        end

        it "leaves the fan-out to whoever is at it" do
          books(1)
          id = fan_out(:books)
          holding("select id from replicates_to_outbox for update") { expect(run(id)).to be_nil }
          expect(run(id).ids.size).to eq(1)
        end

        it "does not wait for a dependant, which gets a fan-out of its own" do
          busy, free = books(2)
          noted_first = holding("select id from books where id = #{busy.id} for update") { run(fan_out(:books)) }
          expect(noted).to eq([["Book", free.id, "update"], ["Book", busy.id, "fan_out"]])
          expect(noted_first.ids.size).to eq(2)
        end

        it "notes that one when it is free, and leaves it alone for a while as long as it is not" do
          busy = books(1).first
          own = nil
          holding("select id from books for update") do
            own = run(fan_out(:books)).ids.first
            expect(run(own)).to be_nil
          end
          expect(ActiveRecord::Base.connection.select_value("select next_at > clock_timestamp() from replicates_to_outbox")).to be(true)
          expect(run(own).ids.size).to eq(1)
          expect(noted).to eq([["Book", busy.id, "update"]])
        end

        it "forgets that one when it is gone" do
          busy = books(1).first
          own = holding("select id from books for update") { run(fan_out(:books)).ids.first }
          unnoted { busy.delete }
          expect(run(own).ids).to eq([])
          expect(noted).to eq([])
        end
      end
    end
  end
end
