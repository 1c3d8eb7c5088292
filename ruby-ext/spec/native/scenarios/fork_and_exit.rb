# frozen_string_literal: true

# Children that end with what they inherited, and with what they have queued themselves. ARGV: brokers, topic.

require_relative "forking"

extend Forking

brokers, topic = ARGV
inherited = lingering(brokers)
publish(inherited, topic, 1)

untouched = -> {}
used = -> { publish(inherited, topic, 11) }
statuses = [untouched, used].product(%i[exit exit!]).map do |work, way|
  pid = fork do
    work.call
    way == :exit ? exit(true) : exit!(true)
  end
  Process.wait2(pid).last
end
publish(inherited, topic, 2)
puts JSON.generate(children: statuses.map { |status| status.exitstatus || status.inspect }, parent: finish(inherited).fetch(:reports))
