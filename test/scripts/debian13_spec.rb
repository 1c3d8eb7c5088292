# frozen_string_literal: true

require "fileutils"
require "tmpdir"
require_relative "support/script"

RSpec.describe "bin/support/debian13" do
  let(:folder) { Dir.mktmpdir("debian13") }

  after { FileUtils.rm_rf(folder) }

  def debian13(*arguments, **environment)
    Script.run("bin/support/debian13", *arguments, environment: environment.transform_keys(&:to_s))
  end

  # A folder for the PATH in which these programs are the machine's own, and nothing else is.
  def only(*programs)
    programs.each { |program| FileUtils.ln_s("/usr/bin/#{program}", folder) }
    folder
  end

  def stub_program(name, script)
    File.write(File.join(folder, name), "#!/bin/sh\n#{script}\n", perm: 0o755)
  end

  it "says how it is called" do
    [[], ["run"], ["run", "--"], %w[run ruby], ["make"]].each do |arguments|
      expect(debian13(*arguments)).to have_attributes(exit_code: 2, errors: /usage/), arguments.inspect
    end
  end

  it "names everything that is missing, and then runs nothing" do
    path = only("bash", "env", "dirname")

    expect(debian13("missing", PATH: path).output).to match(/^debootstrap, .*\nunshare, /)
    expect(debian13("run", "--", "true", PATH: path)).to have_attributes(exit_code: 1, errors: /missing: debootstrap/)
  end

  it "can do it here, where bin/setup was run on Debian as root" do
    skip "not Debian" unless File.exist?("/etc/debian_version") && Process.uid.zero?

    expect(debian13("missing").output).to eq("")
  end

  context "where it can be done" do
    before { skip debian13("missing").output unless debian13("missing").output.empty? }

    it "fails when the chroot cannot be made, says why, and leaves none behind" do
      stub_program("debootstrap", "echo the mirror is away; mkdir -p \"$4\"; exit 1")
      cache = File.join(folder, "cache")

      failed = debian13("run", "--", "true", PATH: "#{folder}:#{ENV.fetch('PATH')}", XDG_CACHE_HOME: cache)

      expect(failed).to have_attributes(exit_code: 1, errors: /could not be made.*the mirror is away/m)
      expect(Dir[File.join(cache, "replicates_to", "*")].reject { |path| path.end_with?(".lock", ".log", ".making") }).to eq([])
    end

    it "runs a command in the folder it was called in, and answers with its exit code and output" do
      ran = debian13("run", "--", "sh", "-c", 'echo "$0 $PWD"; . /etc/os-release; echo $VERSION_ID; exit 7', "an argument")

      expect(ran).to have_attributes(exit_code: 7, output: "an argument #{Dir.pwd}\n13\n")
    end

    it "finds this checkout, Rust and the Rails of Debian 13 there, and leaves nothing mounted" do
      mounted = File.read("/proc/self/mounts")

      ran = debian13("run", "--", "sh", "-c", <<~SHELL)
        ls #{Script::ROOT}/bin/test; cargo --version; ruby -e 'gem "railties", "~> 7.2.0"; puts RUBY_VERSION'
      SHELL

      expect(ran.output).to match(%r{/bin/test\ncargo \d.*\n3\.3\.}), ran.errors
      expect(File.read("/proc/self/mounts")).to eq(mounted)
    end
  end
end
