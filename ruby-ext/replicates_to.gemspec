# frozen_string_literal: true

require_relative "lib/replicates_to/version"

Gem::Specification.new do |spec|
  spec.name = "replicates_to"
  spec.version = ReplicatesTo::VERSION
  spec.summary = "Keeps rows of a Rails application in step with another team's service"
  spec.description = "Publishes every committed change of an ActiveRecord model to Kafka, in the shape that each consumer asked for, " \
                     "without losing one and without ever waiting for Kafka in a request."
  spec.authors = ["The Replicates To developers"]
  spec.licenses = ["MIT", "Apache-2.0"]
  spec.required_ruby_version = ">= 3.1"
  spec.metadata = {"rubygems_mfa_required" => "true"}

  # The gem is complete in its folder. Cargo.lock comes along, so that everybody builds what was tested.
  spec.files = Dir.chdir(__dir__) do
    Dir["lib/**/*", "ext/**/*.{rb,rs,toml,lock,md}", "LICENSE-*", "*.md"].reject do |path|
      File.directory?(path) || path.end_with?(".so", ".bundle")
    end
  end
  spec.require_paths = ["lib"]
  spec.extensions = ["ext/replicates_to/extconf.rb"]

  spec.add_dependency "activerecord", ">= 6.1"
  spec.add_dependency "bigdecimal"
end
