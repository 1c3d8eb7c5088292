# frozen_string_literal: true

require "replicates_to/errors"

# A checkout, and a gem that comes compiled, have a library for each Ruby beside each other; a gem that was compiled
# where it was installed has the one of the Ruby that it was compiled for.
begin
  require "replicates_to/#{RUBY_VERSION[/\A\d+\.\d+/]}/replicates_to"
rescue LoadError => error
  # Ruby names the path it looked for where there was nothing; a library that is there must say itself what it lacks.
  raise unless error.path

  require "replicates_to/replicates_to"
end
