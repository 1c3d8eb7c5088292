# frozen_string_literal: true

require "replicates_to/declaration/validation"

module ReplicatesTo
  # One `replicates_to :destination, …` line, checked as far as a class can be checked without its table.
  class Declaration
    KEYWORDS = %i[only except rename compute includes if unless key as sensitive volatile].freeze

    # @return [Class] the class it was declared in
    attr_reader :owner
    # @return [Symbol]
    attr_reader :destination
    # @return [Array<String>, nil] selected attributes; nil: see {#except}
    attr_reader :only
    # @return [Array<String>, nil] attributes left out; nil: see {#only}
    attr_reader :except
    # @return [Hash{String => String}] attribute => public name
    attr_reader :rename
    # @return [Hash{String => Symbol, #call}] public name => how it is computed
    attr_reader :compute
    # @return [Symbol, Array, Hash, nil] as in `ActiveRecord#includes`
    attr_reader :includes
    # @return [Array<String>, nil] attributes that name a row at the destination; nil: the primary key
    attr_reader :key
    # @return [Array<String>] attributes and computes that logs mask
    attr_reader :sensitive
    # @return [Array<String>] computes that change by themselves
    attr_reader :volatile

    # @param owner [Class] the model
    # @param destination [Symbol, String]
    # @param options [Hash{Symbol => Object}] the keywords of `replicates_to`
    # @param inherited [Declaration, nil] the superclass's declaration of the same destination, which this one replaces
    # @raise [DeclarationError]
    def initialize(owner, destination, options, inherited: nil)
      @owner = owner
      @destination = destination.to_s.to_sym
      @inherited = inherited
      Validation.new(owner, destination, options, inherited: inherited).run
      assign(options)
      freeze
    end

    # The name under which the rows of a class are published: what `as:` says, else the declaring class's own name;
    # declared on an abstract class, each concrete class uses its own.
    #
    # @param klass [Class] the model or one of its subclasses
    # @return [String]
    def public_name(klass)
      return @as if @as
      return @inherited.public_name(klass) if @inherited
      return owner.name unless owner.abstract_class?

      concrete = klass
      concrete = concrete.superclass until concrete.superclass == owner || concrete.superclass.abstract_class?
      concrete.name
    end

    # @param record [ActiveRecord::Base] freshly loaded
    # @return [Boolean] whether `if:` and `unless:` let it through
    def publishes?(record)
      (@if.nil? || ask(@if, record)) && (@unless.nil? || !ask(@unless, record))
    end

    # @param name [String] of a compute
    # @param record [ActiveRecord::Base] freshly loaded
    # @return [Object]
    def computed(name, record)
      ask(compute.fetch(name), record)
    end

    # @return [String] how messages name this line
    def to_s
      "#{owner.name}: replicates_to :#{destination}"
    end

    private

    def assign(options)
      @only = options[:only] && Array(options[:only]).map(&:to_s).uniq
      @except = options[:except] && Array(options[:except]).map(&:to_s).uniq
      @rename = options.fetch(:rename, {}).to_h { |name, public_name| [name.to_s, public_name.to_s] }
      @compute = options.fetch(:compute, {}).transform_keys(&:to_s)
      @includes = options[:includes]
      @if, @unless = options.values_at(:if, :unless)
      @key = options.key?(:key) ? Array(options[:key]).map(&:to_s) : @inherited&.key
      @as = options[:as]&.to_s
      @sensitive = Array(options[:sensitive]).map(&:to_s)
      @volatile = Array(options[:volatile]).map(&:to_s)
    end

    # Private methods may be named, as in Rails' own callbacks.
    def ask(question, record)
      question.respond_to?(:call) ? question.call(record) : record.send(question)
    end
  end
end
