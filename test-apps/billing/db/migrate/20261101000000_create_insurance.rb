# frozen_string_literal: true

class CreateInsurance < ActiveRecord::Migration[6.1]
  def change
    create_table :cars do |t|
      t.bigint :external_id, null: false, index: {unique: true}
      t.bigint :owner_id
      t.string :owner_name
      t.string :plate, null: false
      t.decimal :price, precision: 12, scale: 2
      t.decimal :premium, precision: 12, scale: 2
      t.date :built_on
      t.integer :age
      t.timestamps
    end
    create_table :customers do |t|
      t.bigint :external_id, null: false, index: {unique: true}
      t.string :name, null: false
      t.string :email
      t.timestamps
    end
    create_table :roster_entries do |t|
      t.string :driver_key, null: false, index: {unique: true}
      t.string :display_name, null: false
      t.timestamps
    end
    create_table :settings do |t|
      t.decimal :price_max, precision: 12, scale: 2, null: false
    end
  end
end
