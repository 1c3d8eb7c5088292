# frozen_string_literal: true

module ReplicatesTo
  VERSION = "0.1.0"
end
