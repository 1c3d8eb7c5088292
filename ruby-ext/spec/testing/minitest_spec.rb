# frozen_string_literal: true

require_relative "testing_helper"
require "open3"

RSpec.describe "The Minitest assertions" do
  it "hold in a suite of transactional tests" do
    lib = File.expand_path("../../lib", __dir__)
    rails = ActiveRecord::VERSION::STRING
    output, status = Open3.capture2e(Gem.ruby, "-I", lib, "-e", "gem 'activerecord', '#{rails}'; load ARGV.first",
                                     File.expand_path("minitest_suite.rb", __dir__))
    expect(status).to be_success, output
    expect(output).to match(/^6 runs, \d+ assertions, 0 failures, 0 errors, 0 skips/)
  end
end
