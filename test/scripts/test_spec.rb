# frozen_string_literal: true

require_relative "support/script"

RSpec.describe "bin/test" do
  it "lists one suite a line" do
    suites = Script.run("bin/test", "--list").output.lines.map { |line| line.split.first }

    expect(suites).to eq(%w[lint scripts core relay gem rails e2e])
  end

  it "names the nearest suite for one it does not know, and runs nothing" do
    said = Script.run("bin/test", "core", "raisl")

    expect(said.exit_code).to eq(2)
    expect(said.errors).to include("unknown suite: raisl (did you mean rails?)")
    expect(said.output).to eq("")
  end

  it "rejects an option it does not know" do
    expect(Script.run("bin/test", "--fast")).to have_attributes(exit_code: 2, errors: /unknown option: --fast/)
  end

  it "rejects a runner's arguments where it is not clear whose they are" do
    expect(Script.run("bin/test", "core", "gem", "--", "x")).to have_attributes(exit_code: 2, errors: /one suite/)
    expect(Script.run("bin/test", "--", "x")).to have_attributes(exit_code: 2, errors: /one suite/)
  end
end
