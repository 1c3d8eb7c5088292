# frozen_string_literal: true

# What a process of the monolith runs (`rails runner`) while it contends with another for the same vehicles. The
# arguments of {Contention} are in the environment, as JSON; when to begin is written into a file, once all are ready.
require_relative "../../../ruby-ext/spec/support/contention"

# A publisher that is now quick, now slow, so that publishes leave in another order than they committed.
module SlowNowAndThen
  def age_in_years
    sleep(rand * 0.05) if rand < 0.02
    super
  end
end

# The application's own mistakes: one takes the transaction back, the other makes Rails skip what is left to do after it.
module RaisesNowAndThen
  def self.prepended(model)
    model.after_save { raise "in after_save" if rand < 0.03 }
    model.after_commit { raise "in after_commit" if rand < 0.03 }
  end
end

Vehicle.prepend(SlowNowAndThen, RaisesNowAndThen)

$stdout.sync = true
puts "ready"
file = ENV.fetch("CONTENTION_BEGINS")
sleep 0.005 until File.exist?(file)
Contention.new(begun: Float(File.read(file)), **JSON.parse(ENV.fetch("CONTENTION"), symbolize_names: true)).run
