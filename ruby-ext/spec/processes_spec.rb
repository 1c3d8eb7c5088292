# frozen_string_literal: true

require_relative "spec_helper"

RSpec.describe "processes that end, fork or are killed" do
  ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a database on", adapter
      include_context "with Kafka"

      before { Models.topics.each { |name| Topic.new(name).create } }

      def records
        topic(Vehicle, :billing).records
      end

      def plates
        records.map { |record| record.attributes["registration"] }
      end

      it "publishes at exit what was just committed" do
        result = OwnProcess.run(@database, "Vehicle.create!(plate: 'KA-1')")
        expect(result.status).to be_success, result.error
        expect(plates).to eq(["KA-1"])
        expect(noted).to eq([])
      end

      it "publishes at exit after an exception, and after exit in the middle" do
        ["raise 'no'", "exit 3"].each_with_index do |ending, index|
          OwnProcess.run(@database, "Vehicle.create!(plate: 'KA-#{index}'); #{ending}")
        end
        expect(plates).to match_array(%w[KA-0 KA-1])
      end

      it "ends within its deadline while Kafka is away, and leaves its rows to the sweep" do
        code = "Vehicle.create!(plate: 'KA-1'); Waiting.until_true { ReplicatesTo.status[:queued_records] == 1 }; $stdout.puts Process.pid"
        begun = Process.clock_gettime(Process::CLOCK_MONOTONIC)
        result = OwnProcess.run(@database, code, kafka__brokers: "127.0.0.1:1", exit_deadline: "1s",
                                                 kafka__properties: {"log_level" => "0"})
        expect(result.status).to be_success, result.error
        expect(Process.clock_gettime(Process::CLOCK_MONOTONIC) - begun).to be < 8
        expect(noted.size).to eq(1)
        deliver_by_sweep
        expect(plates).to eq(["KA-1"])
      end

      it "delivers by the sweep what a process killed between COMMIT and acknowledgement had written" do
        process = OwnProcess.start(@database, <<~RUBY, kafka__brokers: "127.0.0.1:1", kafka__properties: {"log_level" => "0"})
          3.times { |n| Vehicle.create!(plate: "KA-\#{n}") }
          Waiting.until_true { ReplicatesTo.status[:queued_records] == 3 }
          puts "committed"
          sleep
        RUBY
        process.await("committed")
        process.kill("KILL")
        expect(noted.size).to eq(3)
        deliver_by_sweep
        expect(plates).to match_array(%w[KA-0 KA-1 KA-2])
        expect(noted).to eq([])
      end

      it "publishes from a forked child that inherited a publisher in use, and from its parent afterwards" do
        result = OwnProcess.run(@database, <<~RUBY)
          Vehicle.create!(plate: "before")
          ReplicatesTo.flush(timeout: 20) or abort "parent"
          child = fork { Vehicle.create!(plate: "child") }
          Process.wait(child)
          abort "child \#{$?.inspect}" unless $?.success?
          Vehicle.create!(plate: "after")
        RUBY
        expect(result.status).to be_success, result.error
        expect(plates).to match_array(%w[before child after])
        expect(noted).to eq([])
      end

      it "keeps what was waiting in the parent out of a child, which neither sends it nor loses it" do
        result = OwnProcess.run(@database, <<~RUBY)
          Vehicle.create!(plate: "parent")
          Process.wait(fork { exit! })
          Process.wait(fork { nil })
        RUBY
        expect(result.status).to be_success, result.error
        expect(plates).to eq(["parent"])
      end

      it "lets several forked children publish at the same time" do
        result = OwnProcess.run(@database, <<~RUBY)
          Vehicle.create!(plate: "parent")
          ReplicatesTo.flush(timeout: 20)
          children = 3.times.map { |n| fork { 5.times { |m| Vehicle.create!(plate: "\#{n}-\#{m}") } } }
          children.each { |child| Process.wait(child); abort "child" unless $?.success? }
        RUBY
        expect(result.status).to be_success, result.error
        expect(plates.size).to eq(16)
      end

      it "can be loaded without a database, a broker or Rails, and loads no native code by itself" do
        lib = File.expand_path("../lib", __dir__)
        code = 'require "replicates_to"; puts $LOADED_FEATURES.grep(/replicates_to\.so|rails\/railtie/).size'
        output, status = Open3.capture2(RbConfig.ruby, "-I", lib, "-e", code)
        expect([output.strip, status.success?]).to eq(["0", true])
      end

      it "loads errors and version each on its own" do
        %w[errors version].each do |file|
          _, status = Open3.capture2(RbConfig.ruby, "-e", "require #{File.expand_path("../lib/replicates_to/#{file}", __dir__).inspect}")
          expect(status).to be_success
        end
      end

      # As the next process's sweep would, once the rows are old enough and their time has come.
      def deliver_by_sweep
        ActiveRecord::Base.connection.execute("update replicates_to_outbox set next_at = null")
        Waiting.until_true { ReplicatesTo.publisher.sweep(0) && noted.empty? }
      end
    end
  end
end
