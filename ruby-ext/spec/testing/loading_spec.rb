# frozen_string_literal: true

require_relative "testing_helper"
require "open3"

RSpec.describe "require \"replicates_to/testing\"" do
  def run(script)
    output, errors, status = Open3.capture3(Gem.ruby, "-w", "-I", File.expand_path("../../lib", __dir__), "-e", script)
    expect(status).to be_success, errors
    expect(errors.lines.grep(%r{replicates_to/})).to eq([])
    output.lines.map(&:chomp)
  end

  it "loads neither native code nor the producer's side nor a test framework into a consumer" do
    lines = run(<<~RUBY)
      require "replicates_to/testing"
      ReplicatesTo::Testing.clear
      puts $LOADED_FEATURES.grep(/replicates_to|rspec|minitest/)
    RUBY
    features = lines.map { |line| line.sub(%r{.*/lib/}, "") }
    expect(features).to include("replicates_to/testing.rb")
    expect(features).to all(match(%r{\Areplicates_to/((errors|nearest|version)|receiver/signature|testing(/(?!rspec|minitest)\w+)?)\.rb\z}))
  end

  it "says to a consumer that nothing is published there" do
    lines = run(<<~RUBY)
      require "replicates_to/testing"
      begin
        ReplicatesTo::Testing.records
      rescue ReplicatesTo::ConfigurationError => e
        puts e.message
      end
    RUBY
    expect(lines).to eq([ReplicatesTo::Testing::UNUSABLE])
  end

  it "brings the matcher along where RSpec is" do
    expect(self.class).to include(ReplicatesTo::Testing::Matchers)
  end
end
