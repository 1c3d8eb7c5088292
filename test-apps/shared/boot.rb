# frozen_string_literal: true

# The one switch between the two ways these apps run: by Bundler where `bundle install` has written Gemfile.lock, and
# from the packages of the machine elsewhere (Debian's gems do not satisfy Bundler). Either way the gem is the one of
# this repository.
module TestApps
  # @param root [String] folder of the app
  def self.boot(root)
    if File.exist?(File.join(root, "Gemfile.lock"))
      ENV["BUNDLE_GEMFILE"] ||= File.join(root, "Gemfile")
      require "bundler/setup"
    else
      $LOAD_PATH.unshift(File.expand_path("../../ruby-ext/lib", __dir__))
    end
    require "logger" # Rails before 7.1 forgets to
  end
end
