# frozen_string_literal: true

# Forks while another thread is inside librdkafka, without Ruby's lock. ARGV: brokers, topic.

require_relative "forking"

extend Forking

brokers, topic = ARGV
inherited = lingering(brokers)
publish(inherited, topic, 1)
waiting = Thread.new { inherited.wait_reports(60) }
Thread.pass until waiting.stop?

child = in_child do
  publish(inherited, topic, 11)
  finish(inherited).fetch(:reports)
end
publish(inherited, topic, 2)
parent = finish(inherited).fetch(:reports)
waiting.join
puts JSON.generate(child:, parent:)
