# frozen_string_literal: true

require_relative "spec_helper"

# A write that this gem has never heard of would be lost without a word. So every public method of ActiveRecord whose name
# sounds like a write stands here, with the statement that it ends in; a new one of a newer Rails fails until somebody
# has looked where it ends.
RSpec.describe "ActiveRecord's write methods" do
  sounds_like_a_write = /insert|upsert|update|delete|destroy|touch|increment|decrement|toggle|save|create|counter|clear|nullify|
                         replace|concat|push|append|prepend|<</x

  # Statements on one row, in ReplicatesTo::RailsPrivate::WriteStatements.
  of_one_row = {
    ActiveRecord::Persistence => %i[
      save save! delete destroy destroy! update update! update_attribute update_attribute! update_column update_columns toggle!
      touch
    ],
    ActiveRecord::Persistence::ClassMethods => %i[
      create create! update update! _insert_record _update_record _delete_record
    ]
  }
  # Statements on the rows of a relation, in RelationWrites; rows that are given, in InsertAllWrites.
  of_many_rows = {
    ActiveRecord::Persistence => %i[increment! decrement!],
    ActiveRecord::Persistence::ClassMethods => %i[insert insert! insert_all insert_all! upsert upsert_all delete],
    ActiveRecord::CounterCache::ClassMethods => %i[reset_counters update_counters increment_counter decrement_counter],
    ActiveRecord::Relation => %i[
      update_all update_counters touch_all delete_all delete_by insert insert! insert_all insert_all! upsert upsert_all
    ],
    ActiveRecord::Associations::CollectionProxy => %i[insert insert! insert_all insert_all! upsert upsert_all]
  }
  # One row after the other, by the methods of a record.
  of_each_row = {
    ActiveRecord::Persistence::ClassMethods => %i[destroy],
    ActiveRecord::Relation => %i[
      create create! create_or_find_by create_or_find_by! find_or_create_by find_or_create_by! first_or_create
      first_or_create! update update! destroy_all destroy_by destroy delete
    ],
    ActiveRecord::Associations::CollectionProxy => %i[
      create create! delete destroy delete_all destroy_all << push append concat replace clear
    ]
  }
  # Nothing reaches the database.
  no_write = {
    ActiveRecord::Persistence => %i[destroyed? destroyed_by_association increment decrement toggle previously_new_record?],
    ActiveRecord::CounterCache::ClassMethods => %i[counter_cache_column?],
    ActiveRecord::Relation => %i[scope_for_create],
    ActiveRecord::Associations::CollectionProxy => %i[create_with create_with! create_with_value create_with_value= prepend]
  }
  known = [of_one_row, of_many_rows, of_each_row, no_write]

  [ActiveRecord::Persistence, ActiveRecord::Persistence::ClassMethods, ActiveRecord::CounterCache::ClassMethods,
   ActiveRecord::Relation, ActiveRecord::Associations::CollectionProxy].each do |place|
    it "of #{place} are all known" do
      sounding = place.public_instance_methods(false).select { |name| name.match?(sounds_like_a_write) }
      expect(sounding - known.flat_map { |group| group.fetch(place, []) }).to eq([])
    end
  end
end
