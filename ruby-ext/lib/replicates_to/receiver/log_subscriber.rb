# frozen_string_literal: true

require "active_support/log_subscriber"

module ReplicatesTo
  module Receiver
    # The log line of what was received. What went as it should is for debugging; a refusal, or attributes that nobody
    # took, is for everyone.
    class LogSubscriber < ActiveSupport::LogSubscriber
      FIELDS = %i[source model operation status records unknown_attributes].freeze
      EXPECTED = %i[applied stale].freeze

      # @return [void]
      def receive(event)
        expected = EXPECTED.include?(event.payload[:status]) && event.payload[:unknown_attributes].empty?
        expected ? debug { line(event) } : info { line(event) }
      end

      # @return [Logger, nil]
      def logger
        ActiveRecord::Base.logger || super
      end

      private

      def line(event)
        fields = event.payload.slice(*FIELDS).compact.reject { |_, value| value == [] }
        "replicates_to received #{fields.map { |name, value| "#{name}=#{Array(value).join(',')}" }.join(' ')}"
      end
    end
  end
end

ReplicatesTo::Receiver::LogSubscriber.attach_to :replicates_to
