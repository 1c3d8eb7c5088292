# frozen_string_literal: true

module Stack
  # What was expected did not come about.
  class Failed < StandardError; end
end
