# frozen_string_literal: true

module ReplicatesTo
  module FanOut
    # The rows that an association of an owner leads to. They are found by the owner's primary key alone, because the owner
    # may have changed again by now, or be gone; and without default scopes, because what a scope hides is published too.
    class Dependants
      # Whether a dependant cannot be there before its owner is, so that a created owner has none but those that were
      # written, and noted, after it.
      #
      # @param model [Class] the owner's class
      # @param association [Symbol]
      # @return [Boolean]
      def self.follow_their_owner?(model, association)
        known = model.replicates_to_followers
        known.fetch(association) { known[association] = new(model, association).follow_their_owner? }
      rescue MappingError
        # The publisher will say so; a request is not the place.
        false
      end

      # @return [Class] that the association leads to
      attr_reader :klass

      # @param model [Class] the owner's class
      # @param association [Symbol, String]
      # @raise [MappingError] when it cannot be followed
      def initialize(model, association)
        @model = model
        @name = association.to_sym
        @path = RailsPrivate::AssociationPath.new(model, @name)
        refuse_unusable
        @klass = @path.klass
        refuse "but #{@klass.name} does not replicate anywhere" if BulkWrites.classes(@klass).empty?
      end

      # @return [Boolean] whether a foreign key keeps dependants from being there before their owner
      def follow_their_owner?
        table, column = @path.reference
        !table.nil? && RailsPrivate.connection_of(@model).foreign_keys(table).any? do |key|
          key.column == column && key.to_table == @model.table_name && [key.primary_key] == [*@model.primary_key]
        end
      end

      # @param owner [String] its primary key, as JSON
      # @param cursor [String, nil] primary key of the last dependant before these, as JSON
      # @return [Array] primary keys, in their order
      def after(owner, cursor, limit)
        key = PrimaryKey.of(klass)
        relation = @path.relation(PrimaryKey.load(@model, owner))
        relation = key.after(relation, key.values(JSON.parse(cursor))) if cursor
        relation.order(*key.names.map(&:to_sym)).limit(limit).pluck(*key.names)
      end

      private

      def refuse_unusable
        refuse "which is not an association#{Nearest.hint(@name, @model.reflections.keys)}" unless @path.found?
        refuse "which leads up: belongs_to :#{@name}, touch: true reaches the old parent as well as the new" if @path.up?
        refuse "which does not work: #{@path.fault}" if @path.fault
        return if @path.by_primary_key?

        refuse "which cannot be followed from the primary key of #{@model.table_name} alone, and the row may be gone: " \
               "publish in after_commit { #{@name}.replicate } instead"
      end

      def refuse(problem)
        raise MappingError, "#{@model.name}: republishes :#{@name}, #{problem}"
      end
    end
  end
end
