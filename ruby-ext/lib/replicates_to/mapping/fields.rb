# frozen_string_literal: true

require "replicates_to/mapping/field"
require "replicates_to/mapping/secrets"

module ReplicatesTo
  class Mapping
    # Builds the fields of a mapping, refusing what does not fit the table.
    class Fields
      # @param model [Class]
      # @param declaration [Declaration]
      def initialize(model, declaration)
        @model = model
        @declaration = declaration
      end

      # @return [Array<Field>]
      # @raise [MappingError]
      def to_a
        refuse_unknown_names
        refuse_clear_secrets
        refuse_double_names
        selected.map { |name| attribute(name) } + @declaration.compute.keys.map { |name| computed(name) }
      end

      private

      def selected
        @selected ||= @declaration.only || (@model.column_names - (@declaration.except || []))
      end

      def attribute(name)
        reading = reading_of(name)
        raise MappingError, unmappable(name) unless reading

        Field.new(name: @declaration.rename.fetch(name, name), kind: reading.kind, scale: reading.scale,
                  sensitive: @declaration.sensitive.include?(name), volatile: false, computed: false, read: reading.read)
      end

      def computed(name)
        declaration = @declaration
        Field.new(name: name, kind: :dynamic, scale: nil, sensitive: declaration.sensitive.include?(name),
                  volatile: declaration.volatile.include?(name), computed: true,
                  read: ->(record) { declaration.computed(name, record) })
      end

      def reading_of(name)
        column = @model.columns_hash[name]
        return ColumnTypes::Declared.method(name) unless column
        return ColumnTypes::Declared.reading(@model, name) unless RailsPrivate.column_type?(@model, column)

        column_types.reading(name)
      end

      def column_types
        @column_types ||= ColumnTypes.of(@model)
      end

      def refuse_unknown_names
        unless @model.table_exists?
          raise MappingError, "#{@declaration} needs the table #{@model.table_name}, which does not exist"
        end

        named = [*@declaration.only, *@declaration.except, *@declaration.rename.keys, *(@declaration.sensitive - @declaration.compute.keys)]
        unknown = named.find { |name| !attribute?(name) }
        return unless unknown

        hint = Nearest.hint(unknown, @model.attribute_names)
        raise MappingError, "#{@declaration} names #{unknown}, which #{@model.table_name} does not have#{hint}"
      end

      def attribute?(name)
        @model.attribute_names.include?(name) || !ColumnTypes::Declared.store_of(@model, name).nil?
      end

      def refuse_clear_secrets
        secrets = Secrets.new(@model)
        clear = (selected - @declaration.sensitive).find { |name| secrets.include?(name) }
        return unless clear

        raise MappingError, "#{@model.name}: #{clear} is filtered or encrypted; name it in sensitive: or in except:"
      end

      def refuse_double_names
        all = selected.map do |name|
          renamed = @declaration.rename.key?(name)
          [renamed ? @declaration.rename[name] : name, name, renamed ? "renamed" : "selected"]
        end
        all += @declaration.compute.keys.map { |name| [name, name, "computed"] }
        Declaration::PublicNames.refuse_doubles(all) { |message| raise MappingError, "#{@declaration} #{message}" }
      end

      def unmappable(name)
        "#{@model.name}: #{name} is a #{column_types.label(name)}, which has no wire type; leave it out or give it a compute:"
      end
    end
  end
end
