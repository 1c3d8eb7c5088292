# frozen_string_literal: true

require "fileutils"
require "open3"
require "rbconfig"
require "tmpdir"
require_relative "native_helper"

# Each in a process of its own, with a lib/ of its own.
RSpec.describe "the library of the native extension" do
  let(:lib) { Dir.mktmpdir("replicates_to") }
  let(:name) { "replicates_to.#{RbConfig::CONFIG['DLEXT']}" }
  let(:built) { $LOADED_FEATURES.find { |feature| File.basename(feature) == name } }

  before do
    FileUtils.mkdir_p(below(RUBY_VERSION[/\A\d+\.\d+/]))
    %w[native.rb errors.rb].each { |file| FileUtils.cp(File.expand_path("../../lib/replicates_to/#{file}", __dir__), below(file)) }
  end

  after { FileUtils.rm_rf(lib) }

  def below(*names)
    File.join(lib, "replicates_to", *names)
  end

  def load_native
    code = "require 'replicates_to/native'; puts ReplicatesTo::Native::Producer, $LOADED_FEATURES.grep(/#{name}/)"
    Open3.capture2e(RbConfig.ruby, "-I", lib, "-e", code).first
  end

  it "is taken from the folder of this Ruby, though there is one that RubyGems compiled" do
    File.write(below(name), "of another Ruby")
    FileUtils.cp(built, below(RUBY_VERSION[/\A\d+\.\d+/], name))
    expect(load_native.lines.map(&:chomp)).to eq(["ReplicatesTo::Native::Producer", below(RUBY_VERSION[/\A\d+\.\d+/], name)])
  end

  it "is the one that RubyGems compiled, where there is none for this Ruby" do
    FileUtils.cp(built, below(name))
    expect(load_native.lines.map(&:chomp)).to eq(["ReplicatesTo::Native::Producer", below(name)])
  end

  it "says what it lacks when it cannot be loaded" do
    File.write(below(RUBY_VERSION[/\A\d+\.\d+/], name), "half a library")
    FileUtils.cp(built, below(name))
    expect(load_native).to include(below(RUBY_VERSION[/\A\d+\.\d+/], name)).and include("LoadError")
  end

  it "names its file when there is none" do
    expect(load_native).to include("cannot load such file -- replicates_to/replicates_to")
  end
end
