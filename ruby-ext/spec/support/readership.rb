# frozen_string_literal: true

# Threads that change authors and, at the same time, the rows that are computed from them: which there are, whose they are,
# and what they say. Runs in processes of its own; prints `done` when its writes have committed and were acknowledged.
#
# A wrong record is mended by the next change of its row, so all threads of all processes turn to the next few rows
# every moment and never come back: each row's last changes are a race of their own.
class Readership
  THREADS = 4
  # Authors, books and editors of a moment.
  AUTHORS = 6
  BOOKS = 30
  EDITORS = 4
  MOMENT = 0.25

  # @param begun [Float] the wall clock's time when the first moment began, the same for all processes
  # @param seconds [Integer]
  def initialize(begun:, seconds:)
    @begun = begun
    @moments = Readership.moments(seconds)
  end

  def self.moments(seconds)
    (seconds / MOMENT).floor
  end

  def run
    Array.new(THREADS) { Thread.new { write until moment >= @moments } }.each(&:join)
    abort "not everything was acknowledged" unless ReplicatesTo.flush(timeout: 120)
    puts "done"
  end

  private

  def moment
    ((Time.now.to_f - @begun) / MOMENT).floor
  end

  def write
    now = moment
    author, other = Author.where(id: ids(now, AUTHORS)).to_a.sample(2)
    book = Book.unscoped.find_by(id: 1 + (now * BOOKS) + rand(BOOKS))
    editor = Editor.find_by(id: 1 + (now * EDITORS) + rand(EDITORS))
    return unless author && other && book && editor

    # A while between reading and writing, so that others get between them.
    sleep(rand * 0.005)
    ActiveRecord::Base.connection_pool.with_connection { public_send(KINDS.sample, author, other, book, editor) }
  rescue ActiveRecord::Deadlocked, ActiveRecord::RecordNotUnique, ActiveRecord::RecordNotFound, RuntimeError
    nil
  end

  def ids(now, count)
    (1 + (now * count))..((now + 1) * count)
  end

  def name
    "N#{rand(1_000_000)}"
  end

  public

  KINDS = %i[
    rename rename_slowly rename_slowly rename_in_bulk rename_quietly rename_and_think_again move_house vanish retitle
    move_book move_books withdraw publish_book sign part
  ].freeze

  def rename(author, *)
    author.update!(name: name)
  end

  # Long enough for a book to come and be published before this is seen.
  def rename_slowly(author, *)
    Author.transaction do
      author.update!(name: name)
      sleep(0.05 + (rand * 0.1))
    end
  end

  def rename_in_bulk(author, other, *)
    Author.where(id: [author.id, other.id]).update_all(name: name)
  end

  def rename_quietly(author, *)
    author.update_columns(name: name)
  end

  def rename_and_think_again(author, *)
    Author.transaction do
      author.update!(name: name)
      Author.transaction(requires_new: true) do
        Author.find(author.id).update!(name: "rolled back")
        raise ActiveRecord::Rollback
      end
      sleep(rand * 0.01)
      author.update!(city: name)
    end
  end

  # Nothing that is published of anybody.
  def move_house(author, *)
    author.update!(city: name)
  end

  def vanish(author, *)
    author.destroy!
    Author.create!(id: author.id, name: name) if rand < 0.7
  end

  def retitle(_, _, book, *)
    Book.transaction do
      book.update!(title: name)
      sleep(rand * 0.01)
    end
  end

  def move_book(_, other, book, *)
    book.update!(author: other)
  end

  def move_books(author, other, *)
    Book.where(author_id: author.id).limit(3).update_all(author_id: other.id)
  end

  def withdraw(_, _, book, *)
    book.destroy!
  end

  # While its author changes.
  def publish_book(author, *)
    Book.transaction do
      Book.create!(title: name, author: author)
      sleep(rand * 0.02)
    end
  end

  def sign(author, _, _, editor)
    Contract.create!(author: author, editor: editor)
  end

  def part(_, _, _, editor)
    Contract.where(editor_id: editor.id).first&.destroy!
  end
end
