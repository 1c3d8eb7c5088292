# frozen_string_literal: true

# A run that finds no example has tested nothing, and says so by failing.
RSpec.configure { |config| config.fail_if_no_examples = true }
