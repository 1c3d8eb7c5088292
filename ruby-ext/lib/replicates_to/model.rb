# frozen_string_literal: true

require "replicates_to/declaration"
require "replicates_to/fitting"
require "replicates_to/republication"

module ReplicatesTo
  # Class methods of a model that includes ReplicatesTo.
  module Model
    # @api private
    def inherited(subclass)
      super
      Registry.changed
    end

    # Publishes the rows of this class to a destination.
    #
    # @param destination [Symbol]
    # @param options [Hash] `only except rename compute includes if unless key as sensitive volatile`
    # @return [void]
    # @raise [DeclarationError] when the line cannot mean anything
    def replicates_to(destination, **options)
      name = destination.to_s.to_sym
      @replicates_to_own ||= {}
      if @replicates_to_own.key?(name)
        raise DeclarationError, "#{self.name}: replicates_to :#{destination} is declared twice"
      end

      @replicates_to_own[name] = Declaration.new(self, destination, options, inherited: replicates_to_declarations[name])
      @replicates_to_fitting = nil
      Registry.add(self)
    end

    # Publishes the rows of an association again when a row of this class changed, because they are computed from it.
    #
    # @param association [Symbol] has_many, has_one or through; it may be declared later
    # @param options [Hash] `if unless`: asked of a record that was just saved
    # @return [void]
    # @raise [DeclarationError] when the line cannot mean anything
    def republishes(association, **options)
      @replicates_to_republishes ||= {}
      raise DeclarationError, "#{name}: republishes :#{association} is declared twice" if @replicates_to_republishes.key?(association)

      @replicates_to_republishes[association] = Republication.new(self, association, options)
      Registry.add(self)
    end

    # Publishes rows that nobody changed: those of the class, or of the relation it is called on. Each batch of 1,000 is a
    # transaction of its own that locks its rows.
    #
    # @param to [Symbol, Array<Symbol>, nil] destinations; nil: all
    # @return [Integer] rows noted
    # @raise [DeclarationError] for a destination that the model does not replicate to
    def replicate(to: nil)
      OnDemand.replicate_all(all, to)
    end

    # @return [Hash{Symbol => Declaration}] by destination, inherited ones included
    def replicates_to_declarations
      inherited = superclass.respond_to?(:replicates_to_declarations) ? superclass.replicates_to_declarations : {}
      @replicates_to_own ? inherited.merge(@replicates_to_own) : inherited
    end

    # @return [Boolean] whether rows of this class are published anywhere
    def replicates?
      replicates_to_declarations.any?
    end

    # @return [Hash{Symbol => Republication}] by association, inherited ones included
    def replicates_to_republications
      inherited = superclass.respond_to?(:replicates_to_republications) ? superclass.replicates_to_republications : {}
      @replicates_to_republishes ? inherited.merge(@replicates_to_republishes) : inherited
    end

    # @return [Boolean] whether a change of a row of this class is noted: it is published, or has others published
    def noted?
      replicates? || replicates_to_republications.any?
    end

    # @api private
    # @return [Hash{Symbol => Boolean}] what {FanOut::Dependants.follow_their_owner?} has found out
    def replicates_to_followers
      @replicates_to_followers ||= {}
    end

    # @param destination [Symbol]
    # @return [Mapping]
    # @raise [MappingError] when the declaration does not fit the table
    def replicates_to_mapping(destination)
      replicates_to_fitting.mapping(destination)
    end

    # @return [Hash{Symbol => Key}] of the destinations that call rows by other columns than those of the primary key
    # @raise [MappingError] when the table does not have them
    def replicates_to_keys
      replicates_to_fitting.keys
    end

    private

    # Needs the columns, so it is made when first asked for, once for each state of the table's schema.
    def replicates_to_fitting
      @replicates_to_fitting = Fitting.new(self) unless @replicates_to_fitting&.current?
      @replicates_to_fitting
    end
  end
end
