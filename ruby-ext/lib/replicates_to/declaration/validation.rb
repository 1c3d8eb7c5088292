# frozen_string_literal: true

require "replicates_to/errors"
require "replicates_to/nearest"

module ReplicatesTo
  class Declaration
    # The misuse that can be seen without a table. The first one found is raised: a class body has one author.
    class Validation
      DESTINATION = /\A[a-z][a-z0-9_]{0,62}\z/
      MODEL = /\A[A-Za-z][A-Za-z0-9_]*(::[A-Za-z][A-Za-z0-9_]*)*\z/
      MODEL_LENGTH_MAX = 100

      def initialize(owner, destination, options, inherited:)
        @owner = owner
        @destination = destination.to_s
        @options = options
        @inherited = inherited
      end

      # @raise [DeclarationError]
      def run
        check_names
        check_keywords
        check_shapes
        check_key
        check_callables
        check_selection
        check_public_names
      end

      private

      def check_names
        refuse "a model needs a name before replicates_to" if @owner.name.nil?
        return if DESTINATION.match?(@destination)

        refuse "destination #{@destination.inspect} must match [a-z][a-z0-9_]{0,62}"
      end

      def check_keywords
        unknown = (@options.keys - KEYWORDS).first
        refuse_line "does not know #{unknown}:#{Nearest.hint(unknown, KEYWORDS, suffix: ':')}" if unknown
        refuse_line "takes only: or except:, not both" if @options[:only] && @options[:except]
        check_public_model_name
      end

      def check_public_model_name
        name = @options.fetch(:as, @owner.name).to_s
        unless MODEL.match?(name) && name.length <= MODEL_LENGTH_MAX
          refuse "model name #{name.inspect} must be a class name of at most #{MODEL_LENGTH_MAX} characters"
        end
        return unless published_above? && @options.key?(:as)

        kept = @inherited.public_name(@owner)
        refuse_line "must keep as: #{kept.inspect}, not #{name.inspect}" unless kept == name
      end

      # The rows of a class and those of its subclasses are one set of rows to a consumer: under one name, with one kind of
      # key. Below an abstract class each class has a table of its own.
      def published_above?
        @inherited && !@owner.base_class?
      end

      # Its attributes may be columns only, which is seen when there is a table.
      def check_key
        return unless @options.key?(:key)

        refuse_line "takes names of columns in key:, not #{@options[:key].inspect}" if names(:key).empty?
        repeated = names(:key).tally.find { |_, count| count > 1 }
        refuse_line "names #{repeated.first} twice in key:" if repeated
        masked = (names(:key) & names(:sensitive)).first
        refuse_line "masks #{masked}, which is in key:, and keys are shown in every log" if masked
        return unless published_above? && @inherited.key != names(:key)

        refuse_line "must keep key: #{(@inherited.key || ['primary key']).join(', ')}, not #{names(:key).join(', ')}"
      end

      def check_shapes
        %i[only except sensitive volatile key].each do |keyword|
          next if name_list?(@options.fetch(keyword, []))

          refuse_line "takes a list of names in #{keyword}:, not #{@options[keyword].inspect}"
        end
        %i[rename compute].each do |keyword|
          next if @options.fetch(keyword, {}).is_a?(Hash)

          refuse_line "takes a table in #{keyword}:, not #{@options[keyword].inspect}"
        end
      end

      def check_callables
        @options.fetch(:compute, {}).each do |name, callable|
          refuse "compute #{name}: takes a Symbol or a callable, not #{callable.inspect}" unless callable?(callable)
        end
        %i[if unless].each do |keyword|
          next if @options[keyword].nil? || callable?(@options[keyword])

          refuse "#{keyword}: takes a Symbol or a callable, not #{@options[keyword].inspect}"
        end
      end

      def check_selection
        renamed.each_key { |name| refuse_unselected("renames", name) }
        names(:sensitive).each { |name| refuse_unselected("masks", name) unless computes.include?(name) }
        names(:volatile).each do |name|
          refuse_line "calls #{name} volatile, which is not a compute#{Nearest.hint(name, computes)}" unless computes.include?(name)
        end
      end

      def refuse_unselected(verb, name)
        refuse_line "#{verb} #{name}, which only: leaves out" if @options[:only] && !names(:only).include?(name)
        refuse_line "#{verb} #{name}, which except: leaves out" if names(:except).include?(name)
      end

      def check_public_names
        selected = names(:only).reject { |name| renamed.key?(name) }.map { |name| [name, name, "selected"] }
        all = selected + renamed.map { |name, public_name| [public_name, name, "renamed"] } +
              computes.map { |name| [name, name, "computed"] }
        PublicNames.refuse_doubles(all) { |message| refuse_line message }
      end

      def name_list?(value)
        Array(value).all? { |name| name.is_a?(Symbol) || (name.is_a?(String) && !name.empty?) }
      end

      def callable?(value)
        value.is_a?(Symbol) || value.respond_to?(:call)
      end

      def names(keyword)
        Array(@options[keyword]).map(&:to_s)
      end

      def renamed
        @options.fetch(:rename, {}).to_h { |name, public_name| [name.to_s, public_name.to_s] }
      end

      def computes
        @options.fetch(:compute, {}).keys.map(&:to_s)
      end

      def refuse_line(message)
        refuse "replicates_to :#{@destination} #{message}"
      end

      def refuse(message)
        raise DeclarationError, "#{@owner.name || 'an anonymous class'}: #{message}"
      end
    end

    # A public name can stand for one attribute only.
    module PublicNames
      # @param all [Array<(String, String, String)>] public name, attribute, how it came to that name
      # @yieldparam message [String] about the first name that two attributes claim
      def self.refuse_doubles(all)
        public_name, claims = all.group_by(&:first).find { |_, claimants| claimants.size > 1 }
        return unless public_name

        claimants = claims.first(2).map { |_, attribute, how| "#{how == 'computed' ? public_name : attribute} (#{how})" }
        yield "has two attributes named #{public_name}: #{claimants.join(' and ')}"
      end
    end
  end
end
