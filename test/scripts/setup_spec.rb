# frozen_string_literal: true

require "fileutils"
require "open3"
require "tmpdir"

# In a folder of its own, where the build itself is left out: the suite `gem` is there for that, and it takes minutes.
RSpec.describe "bin/setup" do
  around { |example| Dir.mktmpdir { |folder| @root = folder and example.run } }

  before do
    FileUtils.mkdir_p([File.join(@root, "bin"), File.join(@root, "ruby-ext/lib/replicates_to/tasks")])
    FileUtils.cp(File.expand_path("../../bin/setup", __dir__), File.join(@root, "bin"))
    FileUtils.cp(File.expand_path("../../Cargo.toml", __dir__), @root)
    FileUtils.touch(File.join(@root, "ruby-ext/lib/replicates_to/tasks/replicates_to.rake"))
    File.write(File.join(@root, "bin/rake"), "#!/bin/sh\n", perm: 0o755)
  end

  def output
    path = "#{File.join(@root, "bin")}:#{ENV.fetch("PATH")}"
    Open3.capture2e({"PATH" => path}, File.join(@root, "bin/setup")).first
  end

  it "says that it builds the native extension where there is none, for that takes minutes" do
    expect(output).to eq "setup: building the native extension (a few minutes the first time)\n"
  end

  it "says nothing when there is nothing to do" do
    library = File.join(@root, "ruby-ext/lib/replicates_to/3.1/replicates_to.so")
    FileUtils.mkdir_p(File.dirname(library))
    FileUtils.touch(library)
    expect(output).to eq ""
  end
end
