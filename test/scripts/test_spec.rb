# frozen_string_literal: true

require_relative "support/script"
require_relative "support/services_folder"

RSpec.describe "bin/test" do
  it "lists one suite a line" do
    suites = Script.run("bin/test", "--list").output.lines.map { |line| line.split.first }

    expect(suites).to eq(%w[lint scripts core relay chaos gem rails e2e sim mutations])
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

  it "plays as many worlds as it is asked to, and says so" do
    said = Script.run("bin/test", "sim", "--seeds", "3", "--seed", "40")

    expect(said.exit_code).to eq(0), said.output + said.errors
    expect(said.output).to match(/^sim: sim: 3 seeds from 40, \d+ steps: every promise was kept$/)
    expect(said.output).not_to include("kafka:")
  end

  it "rejects seeds that are no number, or for another suite" do
    expect(Script.run("bin/test", "sim", "--seeds", "many")).to have_attributes(exit_code: 2, errors: /--seeds needs a number/)
    expect(Script.run("bin/test", "sim", "--seed")).to have_attributes(exit_code: 2, errors: /--seed needs a number/)
    expect(Script.run("bin/test", "core", "--seeds", "3")).to have_attributes(exit_code: 2, errors: /for the suite sim/)
    expect(Script.run("bin/test", "chaos", "--seeds", "3")).to have_attributes(exit_code: 2, errors: /for the suite sim alone/)
    expect(Script.run("bin/test", "sim", "--seconds", "3")).to have_attributes(exit_code: 2, errors: /for the suite chaos alone/)
  end

  it "says when no mutation has the name that is asked for" do
    said = Script.run("bin/test", "mutations", "--", "no such")

    expect(said).to have_attributes(exit_code: 1, output: /mutations: none is named by no such/)
  end

  describe "the services" do
    let(:folder) { ServicesFolder.new }

    after { folder.remove }

    # Reads the examples without running them: what counts here is around them.
    def load_examples
      Script.run("bin/test", "gem", "--", "--dry-run", "spec/native", environment: {"SERVICES_DIR" => folder.path})
    end

    it "are left running, or stopped, as they were found" do
      folder.run("up", "postgres")
      found = folder.status["postgres"]

      said = load_examples

      expect(said.output).to match(/^gem: \d+ examples, 0 failures$/), said.output + said.errors
      expect(said.output).to match(/^kafka: running/)
      expect(folder.status["postgres"]).to eq(found)
      expect(folder.status["kafka"]["running"]).to be(false)
    end
  end

  describe "the releases of Rails" do
    let(:folder) { ServicesFolder.new }
    let(:programs) { Dir.mktmpdir("programs") }

    after do
      folder.remove
      FileUtils.rm_rf(programs)
    end

    # The PATH, but for one program of the administrator's.
    def path_without(program)
      places = ENV.fetch("PATH").split(":").reject { |place| place.end_with?("/sbin") }
      FileUtils.ln_s(Dir["/usr/sbin/*"].reject { |path| File.basename(path) == program }, programs)
      [*places, programs].join(":")
    end

    it "are all run, or named as not tested" do
      said = Script.run("bin/test", "rails", "--", "--dry-run", "spec/note_spec.rb",
                        environment: {"SERVICES_DIR" => folder.path, "PATH" => path_without("debootstrap")})

      expect(said.exit_code).to eq(0), said.output + said.errors
      expect(said.output).to match(/^rails 6\.1: \d+ examples, 0 failures$/)
      expect(said.output).to match(/^not tested: rails 7\.2 \(missing: debootstrap, which bin\/setup installs\)$/)
    end
  end

  it "fails when the runner finds nothing to run" do
    said = Script.run("bin/test", "scripts", "--", "--example", "no such behaviour")

    expect(said.exit_code).to eq(1)
    expect(said.output).to include("failed: scripts: rspec")
  end
end
