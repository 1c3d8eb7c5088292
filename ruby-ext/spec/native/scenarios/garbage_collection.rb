# frozen_string_literal: true

# Encodes every golden record with the garbage collector running at each allocation and moving what it can.

require_relative "../native_helper"
require_relative "../../../../proto/fixtures/fixture"

inputs = Fixture.all.map { |fixture| [fixture.schema, fixture.arguments] }
expected = inputs.map { |schema, arguments| schema.encode(*arguments) }

GC.auto_compact = true if GC.respond_to?(:auto_compact=)
GC.stress = true
encoded = inputs.map { |schema, arguments| schema.encode(*arguments) }
GC.stress = false

puts JSON.generate(equal: encoded == expected, records: encoded.length)
