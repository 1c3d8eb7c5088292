# frozen_string_literal: true

# Runs rspec with one of the installed releases of Rails: `ruby rspec_on_rails.rb 6.1 ARGS…`.

gem "railties", "~> #{ARGV.shift}.0"
# By this name rspec knows that it was called as a program, and looks into spec/.
$PROGRAM_NAME = "rspec"
load Gem.bin_path("rspec-core", "rspec")
