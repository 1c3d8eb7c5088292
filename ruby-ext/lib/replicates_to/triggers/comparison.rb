# frozen_string_literal: true

module ReplicatesTo
  module Triggers
    # The triggers that a table has beside those that it should have.
    class Comparison
      # @param definition [Definition]
      # @param installed [Array<Catalog::Trigger>] that one table has
      def initialize(definition, installed)
        @definition = definition
        @installed = installed.index_by(&:name)
        @names = Definition.trigger_names
      end

      # @return [String, nil] what to do, where some are not there
      def missing
        return if (@names.values - @installed.keys).empty?

        "#{@definition.table} has no triggers that note its changes: run #{@definition.command} --again, then rails db:migrate " \
          "(schema.rb keeps no triggers, structure.sql does)"
      end

      # @return [String, nil] why they do not note what the models say now, and what to do
      def fault
        missing || disabled || outdated
      end

      private

      def disabled
        trigger = @installed.values_at(*@names.values).reject(&:enabled).first
        return unless trigger

        "the trigger #{trigger.name} of #{trigger.table} is disabled: alter table #{trigger.table} enable trigger all"
      end

      def outdated
        return if @names.all? { |event, name| as_defined?(Definition::EVENTS.fetch(event), @installed.fetch(name)) }

        "the triggers of #{@definition.table} note what its models said before: run #{@definition.command}, then rails db:migrate"
      end

      def as_defined?(event, trigger)
        trigger.to_h.values_at(:type, :old_rows, :new_rows) == event.to_a.drop(1) && trigger.body.strip == @definition.body.strip
      end
    end
  end
end
