# frozen_string_literal: true

require_relative "../../shared/boot"

TestApps.boot(File.expand_path("..", __dir__))
