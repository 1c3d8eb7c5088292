# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/history"
require_relative "support/every_write"
require_relative "support/lingering"

# A version labels a state. Whatever raced, no record may show a state older than one that its version, or a lower one, was
# drawn for; and when all is quiet, the record with the highest version is what the row is.
%w[callbacks triggers].each do |coverage|
  RSpec.describe "every way to write, at every isolation level, by many at once (#{coverage})" do
    seconds = Integer(ENV.fetch("CONVERGENCE_SECONDS", 8))

    include_context "with a database on", :postgresql
    include_context "with Kafka"

    let(:coverage) { coverage }

    # Their tables are in this group's database alone: for other specs there are no such models.
    before(:all) do
      load File.expand_path("support/fleet.rb", __dir__)
      Car::Tables.create
      History.keep(ActiveRecord::Base.connection)
      Lingering.commits(ActiveRecord::Base.connection, share: 0.3, seconds: 0.1)
      Settings.apply(coverage: coverage)
      TriggerSet.create if coverage == "triggers"
    end

    after(:all) do
      %i[Fleet Car].each { |name| Object.send(:remove_const, name) }
      ReplicatesTo::Registry.changed
    end

    before do
      Settings.apply(coverage: coverage)
      ReplicatesTo.disabled { ActiveRecord::Base.connection.execute("truncate cars, fleets, history, labels restart identity") }
      [Car, Fleet].each { |model| Topic.new(ReplicatesTo.mapping(model, :billing).topic).create(partitions: 4) }
    end

    def writers(seconds)
      OwnProcess.start_together(@database, 2, <<~RUBY, coverage: coverage)
        require #{File.expand_path('support/fleet', __dir__).inspect}
        require #{File.expand_path('support/every_write', __dir__).inspect}
        # A publisher that is now quick, now slow, so that publishes leave in another order than they committed; callbacks
        # of the application that raise, before the commit and after it.
        Car.computing = -> { rand < 0.02 ? (sleep(rand * 0.05) && "slow") : "slow" }
        Car.after_write = -> { raise "callback" if rand < 0.03 }
        Car.after_the_commit = -> { raise "after the commit" if rand < 0.03 }
        EveryWrite.new(begun: starting_time, seconds: #{seconds}).run
      RUBY
    end

    def create_rows(seconds)
      cars, fleets = EveryWrite.rows(seconds)
      now = Time.now
      ReplicatesTo.disabled do
        Fleet.insert_all((1..fleets).map { |id| {id: id, name: "F#{id}", created_at: now, updated_at: now} })
        Car.insert_all((1..cars).map { |id| {id: id, plate: "C#{id}", created_at: now, updated_at: now} })
      end
    end

    def finish(processes, seconds)
      processes.each do |process|
        status = process.wait(seconds + 180)
        expect(process.output).to include("done"), process.output
        expect(status).to be_success
      end
      ActiveRecord::Base.connection.execute("update replicates_to_outbox set next_at = null")
      Waiting.until_true(60) { ReplicatesTo.publisher.sweep(0) && noted.empty? }
    end

    # What the rows of a model must look like to a consumer, by key.
    def source(model, columns)
      return model.pluck(:id, *columns).to_h { |id, *state| [id.to_s, state] } if model == Fleet

      Car.left_joins(:fleet).pluck("cars.id", *columns.map { |name| name == "fleet_name" ? "fleets.name" : "cars.#{name}" })
         .to_h { |id, *state| [id.to_s, state] }
    end

    # Keys whose latest record is not what the row is.
    def wrong(records, model, columns)
      source = source(model, columns)
      records.group_by(&:key).filter_map do |key, of_key|
        last = of_key.max_by(&:version)
        seen = last.operation == "delete" ? nil : last.attributes.values_at(*columns)
        [key, seen, source[key]] unless seen == source[key]
      end
    end

    # One that always failed would prove nothing below.
    EveryWrite::WRITES.each_key do |name|
      it "goes through: #{name}" do
        car, fleet = ReplicatesTo.disabled { [Car.create!(plate: "C"), Fleet.create!(name: "F")] }
        expect { Car.transaction { EveryWrite.perform(name, car, fleet) } }.not_to raise_error
      end
    end

    it "leaves every replica row as its source row, and labels no state as newer than it is" do
      create_rows(seconds)
      finish(writers(seconds), seconds)
      {Car => %w[plate number active fleet_id lessor_id fleet_name], Fleet => %w[name cars_count]}.each do |model, columns|
        records = topic(model, :billing).records
        expect(records).not_to be_empty
        expect(wrong(records, model, columns)).to eq([])
        expect(History.new(ActiveRecord::Base.connection, model.name).too_old(records)).to eq([])
      end
    end
  end
end
