# frozen_string_literal: true

require_relative "spec_helper"

# From Rails 7.2 on a thread has a connection for a statement or a transaction, unless it asked for more. A thread that
# keeps one starves the application's pool.
RSpec.describe "the connection of a thread that writes" do
  ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a database on", adapter
      include_context "without a publisher"

      def owner
        ReplicatesTo.disabled { Owner.create!(name: "there") }
      end

      # Whether a new thread still has a connection after the block.
      def kept
        Thread.new do
          yield
          ActiveRecord::Base.connection_pool.active_connection? ? true : false
        ensure
          ActiveRecord::Base.connection_pool.release_connection
        end.value
      end

      {
        "create" => -> { Owner.create!(name: "new") },
        "update" => -> { Owner.last.update!(name: "other") },
        "destroy" => -> { Owner.last.destroy! },
        "update_columns" => -> { Owner.last.update_columns(name: "other") },
        "update_all" => -> { Owner.update_all(name: "other") },
        "delete_all" => -> { Owner.delete_all },
        "insert_all" => -> { Owner.insert_all([{name: "new", created_at: Time.now, updated_at: Time.now}]) },
        "a transaction" => -> { Owner.transaction { Owner.last.update!(name: "other") } }
      }.each do |name, write|
        it "is kept as long as Rails keeps it: #{name}" do
          owner
          as_rails = kept { ReplicatesTo.disabled { write.call } }
          owner
          expect(noted).to eq([])
          expect(kept { write.call }).to be(as_rails)
          expect(noted).not_to eq([])
        end
      end

      it "is given back after replicate, with Rails 7.2 and later", if: ActiveRecord::Base.respond_to?(:with_connection) do
        there = owner
        expect(kept { there.replicate! }).to be(false)
        expect(kept { Owner.where(name: "there").replicate }).to be(false)
        expect(noted).to eq([["Owner", there.id, "update"]] * 2)
      end
    end
  end
end
