# frozen_string_literal: true

threads_count = ENV.fetch("RAILS_MAX_THREADS", 8).to_i
threads threads_count, threads_count
workers ENV.fetch("WEB_CONCURRENCY", 0).to_i
bind "tcp://127.0.0.1:#{ENV.fetch("PORT", 3000)}"
preload_app!
