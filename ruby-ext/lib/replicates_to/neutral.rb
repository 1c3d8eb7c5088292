# frozen_string_literal: true

module ReplicatesTo
  # Where rows are read: without query cache, in the default locale and time zone, and with nothing of a request around,
  # so that a compute gives the same value in every process.
  module Neutral
    # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter] that the rows are read on
    # @yield
    # @return [Object] the block's value
    def self.on(connection, &block)
      connection.uncached do
        RailsPrivate.without_current do
          I18n.with_locale(I18n.default_locale) { Time.use_zone(Time.zone_default, &block) }
        end
      end
    end
  end
end
