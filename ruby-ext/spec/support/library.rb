# frozen_string_literal: true

# Models whose rows are computed from an author's. A foreign key holds a portrait to its author, and nothing the others.
module Library
  TABLES = %w[books portraits awards contracts editors authors].freeze

  def self.create(schema)
    schema.create_table(:authors) do |t|
      t.string :name, :city, :type
      t.datetime :updated_at
    end
    schema.create_table(:books) do |t|
      t.references :author
      t.string :title, :type
      t.boolean :hidden, null: false, default: false
    end
    schema.create_table(:portraits) { |t| t.references :author, foreign_key: true }
    schema.create_table(:awards) { |t| t.references :winner, polymorphic: true }
    schema.create_table(:editors) do |t|
      t.string :name
      t.datetime :updated_at
    end
    schema.create_table(:contracts) { |t| t.references :author, :editor }
  end
end

class Author < ActiveRecord::Base
  include ReplicatesTo

  class << self
    # Code that an example runs in the first callback after a row was written.
    attr_accessor :after_write
  end

  after_create { self.class.after_write&.call(self) }
  after_update { self.class.after_write&.call(self) }

  republishes :books, if: :saved_change_to_name?
  republishes :portrait
  republishes :awards
  republishes :editors, if: ->(author) { author.saved_changes.key?("name") }

  has_many :books
  has_one :portrait
  has_many :awards, as: :winner
  has_many :contracts
  has_many :editors, through: :contracts
end

class Novelist < Author
  replicates_to :billing, only: %i[name]
end

class Book < ActiveRecord::Base
  include ReplicatesTo

  class << self
    # Code that an example runs in the publisher, while it reads a book.
    attr_accessor :computing
  end

  belongs_to :author, optional: true
  # Which rows the application shows is nothing to a consumer.
  default_scope { where(hidden: false) }

  replicates_to :billing, only: %i[title], compute: {author: :name_of_author}, includes: :author

  private

  def name_of_author
    Book.computing&.call
    author&.name
  end
end

class Comic < Book
  replicates_to :freight, only: %i[title]
end

class Portrait < ActiveRecord::Base
  include ReplicatesTo

  belongs_to :author, optional: true
  replicates_to :billing, only: [], compute: {author: ->(portrait) { portrait.author&.name }}, includes: :author
end

class Award < ActiveRecord::Base
  include ReplicatesTo

  belongs_to :winner, polymorphic: true, optional: true
  replicates_to :billing, only: [], compute: {winner: ->(award) { award.winner&.name }}, includes: :winner
end

class Contract < ActiveRecord::Base
  belongs_to :author
  belongs_to :editor, touch: true
end

class Editor < ActiveRecord::Base
  include ReplicatesTo

  has_many :contracts
  has_many :authors, through: :contracts
  replicates_to :billing, only: %i[name], compute: {authors: ->(editor) { editor.authors.map(&:name).sort }}, includes: :authors
end
