# frozen_string_literal: true

threads 2, 2
preload_app! if ENV["PRELOAD"]
