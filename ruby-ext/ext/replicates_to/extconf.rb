# frozen_string_literal: true

# Writes a Makefile that calls cargo. RubyGems has a builder of its own for Rust, but its versions differ in where they
# put the library and in how much they leave behind; a Makefile is treated the same by all of them.

require "fileutils"
require "rbconfig"
require "shellwords"

unless system("cargo", "--version", out: File::NULL, err: File::NULL)
  abort "replicates_to is built with Rust, and cargo is not in the PATH: https://rustup.rs installs it"
end

SOURCE = __dir__
# In the repository the configuration next to this file names the target directory that all crates share; an installed
# gem has neither, and builds in a directory of its own, which is removed after the library was taken out.
SHARED_TARGET = (File.expand_path("../../../target", SOURCE) if File.exist?(File.join(SOURCE, ".cargo", "config.toml")))
TARGET = ENV["CARGO_TARGET_DIR"] || SHARED_TARGET || File.expand_path("target")
BUILT = RbConfig::CONFIG["host_os"].include?("darwin") ? "libreplicates_to.dylib" : "libreplicates_to.so"

File.write("Makefile", <<~MAKEFILE)
  SHELL = /bin/sh
  sitearchdir = #{RbConfig::CONFIG['sitearchdir']}
  FOLDER = replicates_to
  RUBY = #{RbConfig.ruby}
  TARGET = #{TARGET}
  LIBRARY = replicates_to.#{RbConfig::CONFIG['DLEXT']}

  all:
  \tcd #{SOURCE.shellescape} && RUBY="$(RUBY)" cargo rustc --locked --release --lib --target-dir "$(TARGET)" -- -C strip=symbols

  # Removed before it is written: a process that runs with the old library keeps it.
  install: all
  \tmkdir -p "$(DESTDIR)$(sitearchdir)/$(FOLDER)"
  \trm -f "$(DESTDIR)$(sitearchdir)/$(FOLDER)/$(LIBRARY)"
  \tcp "$(TARGET)/release/#{BUILT}" "$(DESTDIR)$(sitearchdir)/$(FOLDER)/$(LIBRARY)"
  #{"\trm -rf \"$(TARGET)\"" unless TARGET == SHARED_TARGET || ENV['CARGO_TARGET_DIR']}

  clean:

  .PHONY: all install clean
MAKEFILE
