# frozen_string_literal: true

require "open3"
require_relative "receiver_helper"

RSpec.describe "require \"replicates_to/receiver\"" do
  it "loads neither the native extension nor the producer's side" do
    script = 'require "replicates_to/receiver"; puts $LOADED_FEATURES.grep(/replicates_to/)'
    output, errors, status = Open3.capture3(Gem.ruby, "-I", File.expand_path("../../lib", __dir__), "-e", script)

    expect(status).to be_success, errors
    features = output.lines.map { |line| line.strip.sub(%r{.*/lib/}, "") }
    expect(features).to include("replicates_to/receiver.rb")
    expect(features).to all(match(%r{\Areplicates_to/(errors|nearest|origin|log_subscriber|receiver(/\w+)?)\.rb\z}))
  end
end
