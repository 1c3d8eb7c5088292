# frozen_string_literal: true

module ReplicatesTo
  class Mapping
    # Finds what names a row at a destination, refusing columns that could name two rows, or none.
    class KeyColumns
      # Columns that change without being assigned, so that nobody would notice a changed key.
      GENERATED = {
        Outbox::PostgreSQL => "select attname from pg_attribute where attrelid = %s::regclass and attgenerated <> ''",
        Outbox::SQLite => "select name from pragma_table_xinfo(%s) where hidden in (2, 3)"
      }.freeze

      # @param model [Class]
      # @param declaration [Declaration]
      def initialize(model, declaration)
        @model = model
        @declaration = declaration
      end

      # @return [Key]
      # @raise [MappingError]
      def key
        refuse_unusable_primary_key
        declared = @model.replicates_to_keys[@declaration.destination]
        return PrimaryKey.of(@model) unless declared

        declared.columns.each { |column| refuse_unusable(column) }
        refuse_double(declared.names)
        declared
      end

      private

      # Rows are found by it, whatever others call them.
      def refuse_unusable_primary_key
        key = PrimaryKey.of(@model)
        column = key.columns.find { |one| !one.supported? }
        raise MappingError, "#{@model.name}: primary key #{column.name} is a #{column.label}, which cannot be a key" if column

        missing = RailsPrivate.row_constraints(@model)&.then { |constraints| key.names - constraints }
        return if missing.nil? || missing.empty?

        raise MappingError, "#{@model.name}: query_constraints leave out #{missing.first}, so a write would not say which row it wrote"
      end

      def refuse_unusable(column)
        name = column.name
        refuse "#{name}, which is a #{column.label}: that cannot be a key" unless column.supported?
        own_type = !RailsPrivate.column_type?(@model, @model.columns_hash[name])
        refuse "#{name}, which has a type of its own: that cannot be a key" if own_type
        refuse "#{name}, which is filtered or encrypted: keys are shown in every log" if Secrets.new(@model).include?(name)
        refuse "#{name}, which the database generates: nothing says when it changes" if generated.include?(name)
        return if !@model.columns_hash[name].null || primary_key.include?(name)

        refuse "#{name}, which may be null: change_column_null :#{table}, :#{name}, false"
      end

      # Two rows under one key would overwrite each other.
      def refuse_double(names)
        return if unique.any? { |columns| (columns - names).empty? }

        columns = names.one? ? ":#{names.first}" : "%i[#{names.join(' ')}]"
        refuse "#{names.join(', ')}, which needs a unique index: add_index :#{table}, #{columns}, unique: true"
      end

      # Of some of the columns is enough. An index of a part of the table, or of an expression, says nothing.
      def unique
        indexes = connection.indexes(table).select do |index|
          index.unique && index.where.nil? && index.columns.is_a?(Array) && (!index.respond_to?(:valid?) || index.valid?)
        end
        [*indexes.map(&:columns), *([primary_key] if primary_key.any?)]
      end

      def primary_key
        @primary_key ||= connection.primary_keys(table)
      end

      def generated
        @generated ||= begin
          statement = GENERATED.fetch(Outbox.of(@model.name, connection).class)
          name = statement.include?("regclass") ? @model.quoted_table_name : table
          connection.select_values(format(statement, connection.quote(name)), "ReplicatesTo Columns")
        end
      end

      def table
        @model.table_name
      end

      def connection
        RailsPrivate.connection_of(@model)
      end

      def refuse(what)
        raise MappingError, "#{@declaration} takes key: #{what}"
      end
    end
  end
end
