# frozen_string_literal: true

# A server as Puma is with preload_app: the master has published before it forks its workers, which publish from
# several threads; it publishes again while they run. ARGV: brokers, topic.

require_relative "forking"

extend Forking

def work(producer, topic)
  threads = Array.new(4) { |thread| Thread.new { 100.times { |number| publish(producer, topic, thread * 100 + number) } } }
  threads.each(&:join)
  reported = reports(producer, 400)
  {reported: reported.map(&:first).uniq.length, failed: reported.count(&:last), closed: producer.close(5)}
end

brokers, topic = ARGV
inherited = producer({"bootstrap.servers" => brokers, "log_level" => "0"})
publish(inherited, topic, 1)
workers = Array.new(3) { Thread.new { in_child { work(inherited, topic) } } }
publish(inherited, topic, 2)
finished = workers.map(&:value)
puts JSON.generate(workers: finished, master: reports(inherited, 2).sort)
inherited.close(5)
