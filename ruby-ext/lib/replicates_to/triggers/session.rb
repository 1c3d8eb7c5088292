# frozen_string_literal: true

require "replicates_to/triggers/statement"

module ReplicatesTo
  module Triggers
    # How `ReplicatesTo.disabled { }` and `with_origin` reach the trigger functions: by two settings of the database session,
    # `replicates_to.off` and `replicates_to.origin`. One for each connection.
    #
    # Before a statement goes out, its transaction is told what the thread wishes, if that is something else than it was
    # told last. Always for the transaction alone, as SET LOCAL does: a setting of the session itself would, behind a pooler,
    # hold for whoever gets that session next, and lose their changes without a word. So the database forgets by itself
    # whenever a transaction ends, and what it was told last has to follow:
    #
    #   what happens                                 what the transaction was told last
    #   COMMIT, ROLLBACK, a session lost             nothing
    #   SAVEPOINT                                    the same; remembered under its name
    #   RELEASE                                      the same
    #   ROLLBACK TO                                  what it was at that savepoint; an unknown one: not known, told anew
    #   a block ends inside the transaction          the next statement tells that noting is on again
    #   a block ends after it, or never began one    nothing is left to tell
    #   the transaction has failed                   nothing can be told, nor written, until it is rolled back
    #   a transaction by hand (execute "BEGIN")      as in one of Rails
    #   no transaction                               a statement that may write gets one, for itself
    #
    # Not reached: what goes to the database past Rails (`raw_connection`), several statements in one string that begin a
    # transaction of their own. There a change is noted that should not be, which is the safe side.
    class Session
      SETTINGS = %w[replicates_to.off replicates_to.origin].freeze

      # @return [Array(Boolean, String), nil] whether this thread notes nothing, and whose record it applies; nil: neither
      def self.wish
        off, origin = Noting.off?, Origin.current
        return unless off || origin || ReplicatesTo.configured?
        return unless Triggers.on?

        off ||= !ReplicatesTo.config["enabled"]
        [off, origin] if off || origin
      end

      # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
      def initialize(connection)
        @connection = connection
        forget
      end

      # @param sql [String] a statement on its way to the database
      # @yield sends it
      # @return [Object] the block's value
      def around(sql, &block)
        wish = Session.wish
        return yield if (wish.nil? && !@telling) || @speaking

        @connection.lock.synchronize { follow(Statement.new(sql), wish, &block) }
      end

      private

      def follow(statement, wish, &block)
        # Asked of the client library, which knows what the database said last, rather than concluded from what was sent.
        status = RailsPrivate.transaction_status(@connection)
        forget if status == :none
        return control(statement, &block) if statement.control?
        return yield if status == :failed
        return tell_and(wish, &block) if status == :open || @connection.transaction_open?

        wish && statement.may_write? ? @connection.transaction { tell_and(wish, &block) } : yield
      ensure
        @told = :unknown if @telling && statement.rolls_back_inside?
      end

      def tell_and(wish)
        tell(wish) unless wish == @told
        yield
      end

      def tell(wish)
        off, origin = wish
        values = [off ? "on" : "", origin.to_s]
        @speaking = true
        settings = SETTINGS.zip(values).map { |name, value| "set_config('#{name}', #{@connection.quote(value)}, true)" }
        @connection.execute("select #{settings.join(', ')}", "ReplicatesTo")
        @told = wish
        @telling = true
      ensure
        @speaking = false
      end

      # The database does as it is told, and only then what it was told is different.
      def control(statement)
        yield.tap { savepoint(statement) if @telling }
      end

      def savepoint(statement)
        case statement.savepoint
        in [:set, name] then @savepoints << [name, @told]
        in [:release, name] then drop_savepoints(name)
        in [:rollback, name]
          _, @told = drop_savepoints(name) || [nil, :unknown]
          @savepoints << [name, @told]
        in nil then nil
        end
      end

      # The savepoint and those inside it.
      def drop_savepoints(name)
        index = @savepoints.rindex { |saved, _| saved == name }
        index && @savepoints.slice!(index..).first
      end

      # A new transaction knows of nothing.
      def forget
        @told = nil
        @telling = false
        @savepoints = []
      end
    end
  end
end
