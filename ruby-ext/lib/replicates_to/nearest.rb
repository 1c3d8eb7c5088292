# frozen_string_literal: true

require "did_you_mean"

module ReplicatesTo
  # The known name that somebody most likely meant.
  module Nearest
    # @param word [String, Symbol] what was written
    # @param known [Enumerable] what exists
    # @param suffix [String] put behind the name in the hint, `":"` for keywords
    # @return [String] `" (did you mean plate?)"`, or an empty string when nothing is near
    def self.hint(word, known, suffix: "")
      name = DidYouMean::SpellChecker.new(dictionary: known.map(&:to_s)).correct(word.to_s).first
      name ? " (did you mean #{name}#{suffix}?)" : ""
    end
  end
end
