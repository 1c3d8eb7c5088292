# frozen_string_literal: true

require_relative "spec_helper"

# What another database, or an older state of this one, must not do: publish a later change under a lower version.
RSpec.describe "the generation of versions" do
  ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a database on", adapter
      include_context "with Kafka"

      before { Models.topics.each { |name| Topic.new(name).create } }

      it "is 0 at first, also where a schema was loaded instead of migrated and the table is empty" do
        execute("delete from replicates_to_identity")
        Vehicle.create!(plate: "KA-1")
        expect(generations(published)).to eq([0])
        expect(identity["generation"]).to eq(0)
      end

      it "is the configured one at least, for every process, and stays when a lower one is configured later" do
        Settings.apply(generation: 3)
        Vehicle.create!(plate: "KA-1")
        published
        Settings.apply(generation: 2)
        Vehicle.create!(plate: "KA-2")
        expect(generations(published)).to eq([3])
      end

      it "is the one that another process has raised meanwhile" do
        Vehicle.create!(plate: "KA-1")
        published
        execute("update replicates_to_identity set generation = 4")
        Vehicle.create!(plate: "KA-2")
        expect(generations(published).sort).to eq([0, 4])
      end

      it "is in a backfill's fence too" do
        Settings.apply(generation: 3)
        ReplicatesTo.disabled { Vehicle.create!(plate: "KA-1") }
        backfill
        expect(generations(topic(Vehicle, :billing).records)).to eq([3])
      end

      it "of a row that was acknowledged keeps it from taking another row of the same id along" do
        Vehicle.create!(plate: "KA-1")
        published
        id = outbox.insert("monolith", [note("Vehicle", "[1]", "update")]).first
        execute("update replicates_to_identity set generation = 1")
        outbox.settle([id], 0)
        expect(noted.size).to eq(1)
        outbox.settle([id], 1)
        expect(noted).to eq([])
      end

      it "is missing with its table: rows wait, and everybody is told" do
        execute("alter table replicates_to_identity rename to elsewhere")
        ReplicatesTo::Outbox::Identity.readable.clear
        outbox.insert("monolith", [note("Vehicle", "[1]", "update")])
        expect(log { ReplicatesTo.publisher.sweep(0) }).to include("table replicates_to_identity is missing: run rails g")
        expect(ActiveRecord::Base.connection.select_value("select count(*) from replicates_to_outbox")).to eq(1)
        expect(check_lines).to include(/\AFAIL  generation          table replicates_to_identity is missing: run rails g/)
      ensure
        execute("alter table elsewhere rename to replicates_to_identity")
      end
    end
  end

  context "with postgresql, when another database answers," do
    include_context "with a database on", :postgresql
    include_context "with Kafka"

    # Where ids come again, they cannot tell the records of one example from those of another.
    before do
      Settings.renew_prefix
      Settings.apply
      Topic.baseline = 0
      topic(Vehicle, :billing).create
    end

    let!(:vehicle) { Vehicle.create!(plate: "first").tap { published } }

    [["another cluster", "system", "system_identifier = '1'"], ["a promoted standby", "timeline", "timeline = 7"],
     ["another sequence", "sequence", "sequence = '1/1'"]].each do |what, word, difference|
      it "is raised for #{what}, once, for rows noted before and after" do
        waiting = note_again
        before = identity
        raised = []
        subscriber = ActiveSupport::Notifications.subscribe("generation.replicates_to") { |*, payload| raised << payload }
        execute("update replicates_to_identity set #{difference}")
        vehicle.update!(plate: "second")
        published
        ReplicatesTo.publisher.sweep(0)
        vehicle.update!(plate: "third")
        records = published
        expect(records.map { |record| record.version >> 48 }).to match_array([0, 1, 1, 1])
        expect(records.map(&:version)).to include((1 << 48) + waiting)
        expect(identity.merge("generation" => 0, "highest_id" => 0)).to eq(before.merge("highest_id" => 0))
        expect(raised).to match([{generation: 1, reason: /\A#{word} \S+ became \S+\z/}])
      ensure
        ActiveSupport::Notifications.unsubscribe(subscriber)
      end
    end

    it "is raised when the sequence was set back, and no id is handed out twice" do
      waiting = note_again
      set_sequence(1)
      vehicle.update!(plate: "second")
      expect(latest.attributes["registration"]).to eq("second")
      vehicle.update!(plate: "third")
      expect(latest.attributes["registration"]).to eq("third")
      expect(latest.version).to be > (1 << 48) + waiting
    end

    it "is raised when the outbox was truncated with its sequence" do
      set_sequence(1)
      execute("truncate replicates_to_outbox restart identity")
      vehicle.update!(plate: "second")
      expect(latest.version).to eq((1 << 48) + 1)
    end

    it "is raised after everybody who holds an id of the new numbering has committed" do
      waiting = note_again
      set_sequence(1)
      Vehicle.transaction do
        Vehicle.where(id: vehicle.id).update_all(plate: "second")
        Thread.new { log { ReplicatesTo.publisher.sweep(0) } }.join
        expect(topic(Vehicle, :billing).records.map { |record| record.version & ID_MASK }).not_to include(waiting)
      end
      Waiting.until_true { ReplicatesTo.publisher.sweep(0) && release_rows && noted.empty? }
      expect(latest.attributes["registration"]).to eq("second")
    end

    it "is raised once by processes that find it out together" do
      note_again
      set_sequence(1)
      execute("update replicates_to_identity set timeline = 7")
      while_held("select 1 from replicates_to_identity for update") do
        [establishing, establishing].tap { Waiting.until_true { waiting == 2 } }
      end.each(&:join)
      expect(identity["generation"]).to eq(1)
    end

    it "is raised while nobody else can raise it" do
      stub_const("ReplicatesTo::Outbox::Identity::PostgreSQL::LOCK_SECONDS_MAX", 30)
      execute("update replicates_to_identity set sequence = '1/1'")
      while_held("lock table replicates_to_outbox in share row exclusive mode") do
        establishing.tap do
          Waiting.until_true { waiting == 1 }
          expect(value("select 1 from replicates_to_identity for update skip locked")).to be_nil
        end
      end.join
      expect(identity["generation"]).to eq(1)
    end

    it "is raised for a dump that was restored into another database of the same cluster" do
      in_copy do
        vehicle.update!(plate: "second")
        expect(latest.version >> 48).to eq(1)
      end
    end

    it "is raised for a copy that the server made, in which only the database has another oid" do
      in_copy(by: :template) do
        expect(outbox.identity.examine.reasons).to match([%r{\Asequence \d+/(\d+) became \d+/\1\z}])
      end
    end

    it "is raised where logical replication left the sequence behind, whose ids then pass those of the rows that came along" do
      9.times { outbox.draw_version }
      waiting = note_again
      in_copy(by: :logical_replication) do
        vehicle.update!(plate: "second")
        expect(latest.version).to eq((1 << 48) + 1)
        vehicle.update!(plate: "third")
        expect(latest.version).to eq((1 << 48) + waiting + 1)
        expect(latest.attributes["registration"]).to eq("third")
      end
    end

    it "lets an unfinished backfill go on under its fence, below every later change" do
      Vehicle.computing = ->(_) { raise Interrupt }
      backfill
      Vehicle.computing = nil
      execute("update replicates_to_identity set timeline = 7")
      vehicle.update!(plate: "second")
      published
      backfill
      fences = topic(Vehicle, :billing).records.select { |record| record.operation == "snapshot" }
      expect(generations(fences)).to eq([0])
      expect(latest.attributes["registration"]).to eq("second")
    ensure
      Vehicle.computing = nil
    end

    it "ends at 31: rows wait until the ids have been put out of reach, as the guide says" do
      set_sequence(1)
      execute("update replicates_to_identity set generation = 31, timeline = 7")
      ReplicatesTo.disabled { vehicle.update!(plate: "second") }
      note_again
      expect(log { ReplicatesTo.publisher.sweep(0) }).to include("generation 31 is the last one, and timeline 7 became 1")
      expect(noted.size).to eq(1)
      expect(check_lines).to include(/\AFAIL  generation          31 is the last one, and timeline 7 became 1, the sequence went back/)
      execute(guide_sql)
      Waiting.until_true { release_rows && ReplicatesTo.publisher.sweep(0) && noted.empty? }
      expect(latest.version).to be_between((31 << 48) + 1_000_000_000_000, (32 << 48) - 1)
      expect(latest.attributes["registration"]).to eq("second")
    end

    it "does without what this user may not read, and check says so" do
      execute("revoke execute on function pg_control_system() from public")
      reader = "replicates_to_reader_#{SecureRandom.hex(6)}"
      execute("create role #{reader} login")
      execute("grant all on all tables in schema public to #{reader}; grant all on all sequences in schema public to #{reader}")
      as_reader = URI(@database.config[:url]).tap { |url| url.user = reader }.to_s
      ActiveRecord::Base.establish_connection(@database.config.merge(url: as_reader))
      ReplicatesTo::Outbox::Identity.readable.clear
      vehicle.update!(plate: "second")
      expect(generations(published)).to eq([0])
      expect(check_lines).to include("warn  generation          0 (timeline 1), but this user may not read the system: #{guide}")
      execute("update replicates_to_identity set timeline = 7")
      vehicle.update!(plate: "third")
      expect(generations(published)).to eq([0, 1])
    ensure
      ActiveRecord::Base.establish_connection(@database.config)
      execute("drop owned by #{reader}; drop role #{reader}; grant execute on function pg_control_system() to public")
    end

    it "remembers how far the sequence is, once a minute" do
      execute("update replicates_to_identity set highest_id = 1, highest_id_at = clock_timestamp() - interval '59 seconds'")
      outbox.identity.remember
      expect(identity["highest_id"]).to eq(1)
      execute("update replicates_to_identity set highest_id_at = clock_timestamp() - interval '61 seconds'")
      outbox.draw_version
      ReplicatesTo.publisher.sweep(0)
      expect(identity["highest_id"]).to eq(value("select last_value from replicates_to_outbox_id_seq"))
    end

    it "is in check, with what it belongs to and what will raise it" do
      system = value("select system_identifier from pg_control_system()")
      expect(check_lines).to include("ok    generation          0 (system #{system}, timeline 1)")
      execute("update replicates_to_identity set timeline = 7")
      expect(check_lines).to include("warn  generation          0 becomes 1 with the next record, for timeline 7 became 1")
      execute("update replicates_to_identity set generation = 29, timeline = 1")
      expect(check_lines).to include("warn  generation          29 (system #{system}, timeline 1), and the last is 31: #{guide}")
    end

    # As another process would that is gone before it published.
    def note_again
      outbox.insert("monolith", [note("Vehicle", "[#{vehicle.id}]", "update")]).first
    end

    def establishing
      Thread.new { ActiveRecord::Base.connection_pool.with_connection { |c| ReplicatesTo::Outbox.on(c).identity.establish } }
    end

    def while_held(lock)
      observer = PG.connect(@database.config[:url])
      observer.transaction { observer.exec(lock) && yield }
    ensure
      observer&.close
    end

    def waiting
      value("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'")
    end

    def in_copy(by: :dump)
      copy = Database.create(:postgresql)
      by == :template ? copy_by_server(copy) : copy_by_dump(copy, by == :dump ? /\A\z/ : /setval/)
      ActiveRecord::Base.establish_connection(copy.config)
      yield
    ensure
      ActiveRecord::Base.establish_connection(@database.config)
      copy&.drop
    end

    # Logical replication brings rows, and leaves sequences where they were.
    def copy_by_dump(copy, lines_left_out)
      dump = Open3.capture2("pg_dump", @database.config[:url]).first.lines.grep_v(lines_left_out).join
      Open3.capture2("psql", "-q", copy.config[:url], stdin_data: dump)
    end

    def copy_by_server(copy)
      ActiveRecord::Base.connection_pool.disconnect!
      source, name = [@database, copy].map { |database| URI(database.config[:url]).path.delete_prefix("/") }
      server = PG.connect(Services.postgres_url)
      server.exec("select pg_terminate_backend(pid) from pg_stat_activity where datname = '#{source}'")
      server.exec("drop database #{name}")
      Waiting.until_true { server.exec("select 1 from pg_stat_activity where datname = '#{source}'").none? }
      server.exec("create database #{name} template #{source}")
    ensure
      server&.close
    end

    def latest
      published.max_by(&:version)
    end

    # By hand, which only the memory of a sweep can tell.
    def set_sequence(value)
      execute("update replicates_to_identity set highest_id_at = '-infinity'")
      outbox.identity.remember
      execute("select setval('replicates_to_outbox_id_seq', #{value})")
    end

    def guide
      "see docs/guides/failover.md"
    end

    def guide_sql
      File.read(File.expand_path("../../docs/guides/failover.md", __dir__))[/```sql\n(.*?)```/m, 1]
    end
  end

  def execute(sql)
    ActiveRecord::Base.connection.execute(sql)
  end

  def value(sql)
    ActiveRecord::Base.connection.select_value(sql)
  end

  def identity
    ActiveRecord::Base.connection.select_one("select * from replicates_to_identity").except("highest_id_at")
  end

  # Rows that a sweep has taken on are due again.
  def release_rows
    execute("update replicates_to_outbox set next_at = null")
  end

  def generations(records)
    records.map { |record| record.version >> 48 }.uniq
  end

  def backfill
    ReplicatesTo::Command.backfill(%w[Vehicle billing], out: StringIO.new, env: {})
  end

  def check_lines
    out = StringIO.new
    ReplicatesTo::Command.check(out: out, env: {})
    out.string.lines.map(&:chomp)
  end

  def log
    written = StringIO.new
    ActiveRecord::Base.logger = Logger.new(written)
    yield
    written.string
  ensure
    ActiveRecord::Base.logger = nil
  end
end
