# frozen_string_literal: true

require_relative "support/contenders"
require_relative "support/whole_stack"

# Eight threads in two processes of the monolith write the same fifty vehicles, in every way that was ever seen to lose
# a change, and turn to the next fifty every second: each row's last changes are a race of their own.
RSpec.describe "vehicles that many write at once" do
  seconds = 20

  let(:seconds) { seconds }
  let(:keys) { seconds * Contenders::ROWS_A_SECOND }

  # One commit in three takes a while: the time between drawing a version and its being seen is where orders go wrong,
  # when others overtake it.
  def make_commits_linger
    connection = PG.connect(stack.monolith.database_url)
    connection.exec(<<~SQL)
      create function linger() returns trigger language plpgsql as $$ begin if random() < 0.33 then perform pg_sleep(0.1); end if; return null; end $$;
      create constraint trigger linger after insert on replicates_to_outbox deferrable initially deferred
      for each row execute function linger();
    SQL
  ensure
    connection&.close
  end

  def contenders(create_and_delete:)
    make_commits_linger
    first = stack.source.rows("select min(id) from vehicles").first.first.to_i
    Contenders.new(stack, @folder, first: first, keys: keys, create_and_delete: create_and_delete)
  end

  def expect_convergence
    eventually("everything is published", within: 120) { stack.outbox_rows.zero? }
    stack.expect_both_equal(within: 120, every: 0.5)
    eventually("nothing is left undelivered") { stack.relay.failures("--destination", "billing").empty? }
  end

  def number(sql)
    stack.replica.rows(sql).first.first.to_i
  end

  context "after they had been replicated" do
    include_context "with everything running"

    it "are in billing as in the monolith when all is quiet" do
      rows = Array.new(keys) { |index| {plate: "KA-#{index}", price: "1.00"} }
      monolith.call(:post, "/vehicles/import", {vehicles: rows}, status: 201)
      stack.expect_both_equal(within: 120, every: 0.5)
      latest = number("select max(version) from replicates_to_versions")

      both = contenders(create_and_delete: false)
      both.begin
      both.finish(within: seconds + 120)

      expect_convergence
      # A slow machine hits fewer of them, but there were races.
      expect(number("select count(*) from replicates_to_versions where version > #{latest}")).to be > keys / 5
    end
  end

  context "while a backfill goes over them, and they are created and deleted" do
    include_context "with everything running"

    it "are in billing as in the monolith, and none that is gone comes back" do
      stack.monolith.rake("db:seed", env: {"SEED_ROWS" => keys.to_s})
      expect(stack.replica.count("cars")).to eq(0)
      both = contenders(create_and_delete: true)

      # At the pace of the contenders, so that it is always where they are.
      backfill = stack.monolith.task("replicates_to:backfill[Vehicle,billing]",
                                     env: {"BATCH" => "10", "RATE" => Contenders::ROWS_A_SECOND.to_s})
      backfill.start
      eventually("the backfill has its fence; see #{backfill.log}") { backfill.said?(/^run \d+ .* fence \d+/) }
      both.begin
      both.finish(within: seconds + 120)
      backfill.finish(within: 120)

      expect_convergence
      expect(number("select count(*) from replicates_to_versions where deleted")).to be_positive
    end
  end
end
