# frozen_string_literal: true

# Models that every destination calls by other columns.
module Shop
  TABLES = %w[products].freeze

  def self.create(schema)
    schema.create_table(:products) do |t|
      t.string :type
      t.string :sku, null: false, index: {unique: true}
      t.string :region, null: false
      t.integer :number, null: false
      t.string :name
      t.boolean :hidden, null: false, default: false
      t.index %i[region number], unique: true
    end
  end
end

class Product < ActiveRecord::Base
  include ReplicatesTo

  replicates_to :shop, only: %i[sku name], key: :sku, unless: :hidden
  replicates_to :places, only: %i[name], key: %i[region number], if: ->(product) { product.name != "nowhere" }
  replicates_to :archive, only: %i[sku]
end

class Gadget < Product
  replicates_to :shop, only: %i[sku name region], unless: :hidden
  replicates_to :outlet, only: %i[name], key: :sku
end
