# frozen_string_literal: true

class CreateFleet < ActiveRecord::Migration[6.1]
  def change
    create_table :owners do |t|
      t.string :name, null: false
      t.string :email
      t.timestamps
    end
    create_table :vehicles do |t|
      t.references :owner, foreign_key: true
      t.string :vin
      t.string :plate, null: false
      t.decimal :price, precision: 12, scale: 2
      t.date :built_on
      t.text :notes
      t.timestamps
    end
    create_table :drivers do |t|
      t.string :name, null: false
      t.boolean :licensed, null: false, default: true
      t.timestamps
    end
  end
end
