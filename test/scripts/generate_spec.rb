# frozen_string_literal: true

require "fileutils"
require "tmpdir"
require_relative "support/script"

RSpec.describe "proto/generate" do
  let(:copy) { Dir.mktmpdir("generate") }
  let(:generated) { ["relay/core/src/proto.rs", "ruby-ext/ext/replicates_to/src/proto.rs"] }

  before do
    FileUtils.cp_r(File.join(Script::ROOT, "proto"), copy)
    generated.each do |path|
      FileUtils.mkdir_p(File.join(copy, File.dirname(path)))
      FileUtils.cp(File.join(Script::ROOT, path), File.join(copy, path))
    end
  end

  after { FileUtils.rm_rf(copy) }

  # Shares the compiled crates with the repository.
  def generate(*arguments)
    target = ENV.fetch("CARGO_TARGET_DIR", File.join(Script::ROOT, "target"))
    Script.run(File.join(copy, "proto/generate"), *arguments, environment: {"CARGO_TARGET_DIR" => target})
  end

  def rename_a_field
    schema = File.join(copy, "proto/replicates_to/v1/record.proto")
    File.write(schema, File.read(schema).sub("string origin = 10", "string provenance = 10"))
  end

  it "finds the checked-in code up to date" do
    expect(generate("--check")).to have_attributes(exit_code: 0, output: "generated code is up to date\n")
  end

  it "fails on stale code without touching it, and mends it when told to" do
    rename_a_field
    before = generated.map { |path| File.read(File.join(copy, path)) }

    checked = generate("--check")
    expect(checked.exit_code).to eq(1)
    expect(checked.errors.lines.map(&:chomp)).to eq(generated.map { |path| "stale: #{path}; run proto/generate" })
    expect(generated.map { |path| File.read(File.join(copy, path)) }).to eq(before)

    expect(generate.exit_code).to eq(0)
    expect(generated.map { |path| File.read(File.join(copy, path)) }).to all(include("provenance"))
    expect(generate("--check").exit_code).to eq(0)
  end
end
