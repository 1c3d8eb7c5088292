# frozen_string_literal: true

# A parent with records in its queue, a child, and a child of that. ARGV: brokers, topic.

require_relative "forking"

extend Forking

brokers, topic = ARGV
inherited = lingering(brokers)
(1..3).each { |token| publish(inherited, topic, token) }

child = in_child do
  found = state(inherited)
  (11..13).each { |token| publish(inherited, topic, token) }
  grandchild = in_child do
    found = state(inherited)
    publish(inherited, topic, 21)
    finish(inherited, inherited: found)
  end
  [finish(inherited, inherited: found), grandchild]
end
queued = inherited.queued_records
puts JSON.generate(child: child[0], grandchild: child[1], parent: finish(inherited, queued:))
