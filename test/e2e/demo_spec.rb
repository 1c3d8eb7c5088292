# frozen_string_literal: true

require "open3"

RSpec.describe "bin/demo" do
  executable = File.expand_path("../../bin/demo", __dir__)

  def run(executable, *arguments)
    output, status = Open3.capture2e(executable, *arguments, stdin_data: "")
    [output, status.exitstatus]
  end

  it "shows the whole road with nothing but this machine's files" do
    output, status = run(executable, "--once")
    expect(output).to match(/^13 steps ok, 0 failed$/), output
    expect(status).to eq(0)
  end

  it "shows it on real Kafka and PostgreSQL too, and kills the relay" do
    output, status = run(executable, "--once", "--real")
    expect(output).to match(/^15 steps ok, 0 failed$/), output
    expect(status).to eq(0)
  end

  it "explains itself, and an argument that it does not know" do
    expect(run(executable, "--help")).to match([/--once.*--real/m, 0])
    expect(run(executable, "--onse")).to match([/unknown argument --onse/, 2])
  end
end
