# frozen_string_literal: true

# The receiver's memory: the highest version applied of each key. Rows of deleted keys stay, so that an older record
# cannot bring them back.
class CreateReplicatesToVersions < ActiveRecord::Migration[6.1]
  def change
    create_table :replicates_to_versions, primary_key: %i[source model key] do |t|
      t.string :source, null: false
      t.string :model, null: false
      t.string :key, null: false
      t.bigint :version, null: false
      t.boolean :deleted, null: false
      t.datetime :applied_at, precision: 6, null: false
    end
  end
end
