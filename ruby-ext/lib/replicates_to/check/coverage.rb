# frozen_string_literal: true

module ReplicatesTo
  class Check
    # What changes replicated tables unnoticed: under callbacks whatever the database does by itself, under triggers where
    # they are missing, switched off, or written for what the models said before.
    class Coverage
      # @param findings [Findings]
      def initialize(findings)
        @findings = findings
      end

      # @return [void]
      def run
        # Several connections may lead to one database.
        Registry.noted.group_by { |model| model.connection_db_config.configuration_hash }.each_value do |models|
          Triggers.on? ? check_triggers(models) : check_callbacks(models)
        rescue Error => e
          @findings.fail("coverage", e.message)
        rescue ActiveRecord::ActiveRecordError => e
          @findings.fail("coverage", "the database of #{models.first.name} does not answer: #{Check.reason(e)}")
        end
      end

      private

      def check_callbacks(models)
        models.uniq(&:table_name).each { |model| check_foreign_keys(model) }
        return unless Triggers.possible?(RailsPrivate.connection_of(models.first))

        installed(models.first).each_value do |triggers|
          @findings.warn("coverage", "triggers of #{triggers.first.table} note again what callbacks note: #{removal(triggers)}")
        end
      end

      # The database changes these rows by itself, past every callback.
      def check_foreign_keys(model)
        RailsPrivate.connection_of(model).foreign_keys(model.table_name).each do |key|
          actions = {"on delete" => key.on_delete, "on update" => key.on_update}
          action = actions.find { |_, value| %i[cascade nullify].include?(value) } || next

          foreign_key = "the foreign key to #{key.to_table} (#{action.join(' ')})"
          @findings.warn(model.name, "#{foreign_key} changes rows of #{model.table_name} unnoticed")
        end
      end

      def check_triggers(models)
        definitions = models.uniq(&:table_name).map { |model| Triggers::Definition.new(model) }
        installed = installed(models.first)
        definitions.each { |definition| check_table(definition, installed) }
        installed.each_value do |triggers|
          @findings.fail("coverage", "triggers of #{triggers.first.table} note rows that no model has published: #{removal(triggers)}")
        end
      end

      # @return [Hash{Integer => Array<Triggers::Catalog::Trigger>}] of this source, by table
      def installed(model)
        catalog(model).installed.group_by(&:relation)
      end

      def catalog(model)
        Triggers::Catalog.new(RailsPrivate.connection_of(model))
      end

      # What is found to belong to a table is taken out of installed.
      def check_table(definition, installed)
        table, *others = catalog(definition.model).members(definition.model.quoted_table_name)
        return @findings.fail("coverage", "#{definition.table} is no table, so it has no triggers") unless table&.table?

        fault = Triggers::Comparison.new(definition, installed.delete(table.relation) || []).fault
        fault ? @findings.fail("coverage", fault) : @findings.ok("coverage", "#{definition.table}, by triggers")
        others.each { |other| check_member(definition, other, installed.delete(other.relation) || []) }
      end

      # What is written to the table itself is noted all the same.
      def check_member(definition, member, triggers)
        return if member.table? && Triggers::Comparison.new(definition, triggers).fault.nil?

        remedy = member.table? ? "run #{definition.command} --again, then rails db:migrate" : "foreign tables have no such triggers"
        @findings.warn("coverage", "what is written to #{member.table} by its own name, rather than to #{definition.table}, " \
                                   "is not noted: #{remedy}")
      end

      def removal(triggers)
        "take them away by #{triggers.map { |trigger| "drop trigger #{trigger.name} on #{trigger.table}" }.join('; ')}"
      end
    end
  end
end
