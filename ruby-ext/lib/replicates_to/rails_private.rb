# frozen_string_literal: true

module ReplicatesTo
  # Every use of Rails that Rails does not promise to keep. Read and tested in 6.1.7; arguments are taken as they come
  # where 7.0-8.1 pass more of them. If an upgrade of Rails breaks this gem, it breaks here.
  module RailsPrivate
    # @return [void]
    def self.install
      require "active_record/connection_adapters/abstract/transaction"
      ActiveRecord::ConnectionAdapters::Transaction.prepend(TransactionNotes)
      ActiveRecord::AttributeMethods::Dirty.prepend(SavedRows)
      ActiveRecord::Relation.prepend(RelationWrites)
      ActiveRecord::InsertAll.prepend(InsertAllWrites)
      ActiveRecord::ConnectionAdapters::AbstractAdapter.prepend(CoveredStatements, AllStatements)
    end

    # ActiveRecord::ConnectionAdapters::Transaction, parent of real transactions and savepoints.
    module TransactionNotes
      # @return [Notes] the rows changed in this transaction or savepoint
      def replicates_to_notes
        @replicates_to_notes ||= Notes.new
      end

      # After all of Rails' own before_commit work: a plain before_commit callback would be too early for a deferred
      # `touch:` and for rows that another before_commit callback writes. A savepoint runs callbacks only inside a
      # transaction that is not joinable (fixtures, console --sandbox).
      def before_commit_records
        super
        return unless @run_commit_callbacks && @replicates_to_notes && !@replicates_to_notes.empty?

        @replicates_to_ids = @replicates_to_notes.flush(connection)
      end

      # Called once the COMMIT or the RELEASE SAVEPOINT went through.
      def commit_records
        if @replicates_to_ids
          notes = @replicates_to_notes
          return ReplicatesTo.publisher.committed(connection, notes.database, @replicates_to_ids, above: notes.above) { super }
        end

        if @replicates_to_notes && !@run_commit_callbacks
          connection.current_transaction.replicates_to_notes.merge(@replicates_to_notes)
        end
        super
      end
    end

    # Class methods behind save, touch, destroy, delete and update_columns: each runs one statement on one row and returns
    # what it affected. The note is made right here, so that no callback that raises afterwards can separate a row from
    # its note.
    module WriteStatements
      def _insert_record(*arguments)
        return super unless Noting.of?(self)

        RailsPrivate.noting(self) do
          returned = super
          Noting.inserted(self, RailsPrivate.inserted_key(self, arguments, returned))
          returned
        end
      end

      def _update_record(values, constraints)
        return super unless Noting.of?(self)

        RailsPrivate.noting(self) do
          id = PrimaryKey.in_row(self, constraints)
          renamed = PrimaryKey.in_row(self, constraints.merge(RailsPrivate.assigned(self, values)))
          Noting.updating(self, id, renamed, values.keys) { super }
        end
      end

      def _delete_record(constraints)
        return super unless Noting.of?(self)

        RailsPrivate.noting(self) do
          Noting.deleting(self, PrimaryKey.in_row(self, constraints)) { super }
        end
      end
    end

    # ActiveRecord::AttributeMethods::Dirty: what save and touch run inside their callbacks, and all that they do before the
    # first of them can raise. From here on the record can say what was saved.
    module SavedRows
      private

      # A touch that was put off to the commit leaves no saved changes to be asked about.
      def _touch_row(*)
        !@_skip_dirty_tracking && FanOut.asks?(self.class) ? FanOut.asking(self) { super } : super
      end

      def _create_record(*)
        FanOut.asks?(self.class) ? FanOut.asking(self) { super } : super
      end

      def _update_record(*)
        FanOut.asks?(self.class) ? FanOut.asking(self) { super } : super
      end
    end

    # ActiveRecord::Relation: writes that name no rows. touch_all, counter caches, increment!, reset_counters, dependent:
    # :delete_all and :nullify all end here.
    module RelationWrites
      def update_all(updates)
        RailsPrivate.covering(klass, BulkWrites.update(klass, updates)) { super }
      end

      def delete_all
        RailsPrivate.covering(klass, BulkWrites.delete(klass)) { super }
      end
    end

    # ActiveRecord::InsertAll: insert, insert_all, upsert, upsert_all and their bang forms.
    module InsertAllWrites
      def execute
        # Rails 7.0 takes SQL of the caller's for the update.
        sql = update_sql if respond_to?(:update_sql)
        update = sql ? sql.to_s : (update_duplicates? ? updatable_columns.to_a : [])
        RailsPrivate.covering(model, BulkWrites.insert(model, update: update, returning: returning ? true : false)) { super }
      end
    end

    # ActiveRecord::ConnectionAdapters::AbstractAdapter: the one statement that a bulk write runs.
    module CoveredStatements
      # @return [BulkWrites::Cover, nil] how its rows are to be noted
      attr_accessor :replicates_to_cover

      def update(arel, name = nil, binds = [])
        replicates_to_cover ? RailsPrivate.run_covered(self, name) { to_sql(arel, binds) }.rows : super
      end

      def delete(arel, name = nil, binds = [])
        replicates_to_cover ? RailsPrivate.run_covered(self, name) { to_sql(arel, binds) }.rows : super
      end

      def exec_insert_all(sql, name)
        replicates_to_cover ? RailsPrivate.run_covered(self, name) { sql }.result : super
      end
    end

    # ActiveRecord::ConnectionAdapters::AbstractAdapter: every statement, BEGIN and COMMIT too, is sent by a block of this.
    module AllStatements
      # @return [Triggers::Session, nil] nil where there are no triggers
      def replicates_to_session
        @replicates_to_session ||= (Triggers::Session.new(self) if Triggers.possible?(self))
      end

      private

      def log(sql, *arguments, **options, &block)
        return super unless replicates_to_session

        replicates_to_session.around(sql) { Triggers::Writes.around(self, sql) { super } }
      end
    end

    # Connections that belong to one thread alone, one for each database of the application. With the application's own
    # pool, a pool of one connection would starve.
    class OwnConnections
      # SQLite's adapter would wait for a writer while holding Ruby's lock; from Rails 7.1 on it takes one of `timeout` and
      # `retries`. Rails 8.1 keeps so many connections open at least.
      OVERRIDES = {pool: 1, timeout: 0, retries: nil, reaping_frequency: nil, min_connections: 0}.freeze

      def initialize
        @handler = ActiveRecord::ConnectionAdapters::ConnectionHandler.new
        @configurations = {}
      end

      # Every model that this thread touches from now on uses these connections.
      #
      # @return [void]
      def adopt
        ActiveRecord::Base.connection_handler = @handler
        follow_configuration
      end

      # @return [Array<String>] names of the databases, as models call their connection
      def databases
        @configurations.keys
      end

      # @return [ActiveRecord::ConnectionAdapters::AbstractAdapter]
      def connection(database)
        connection = @handler.retrieve_connection(database, **role)
        # Also takes a busy handler away that the application gave every connection: a thread that ends inside one would
        # leave SQLite's mutex locked, and the process could not exit.
        connection.raw_connection.busy_timeout(0) if connection.adapter_name == "SQLite"
        connection
      end

      # Takes up databases that the application connected to, or connected to anew, since the last look.
      #
      # @return [void]
      def follow_configuration
        main = ActiveRecord::Base.default_connection_handler
        main.connection_pool_names.each do |name|
          configuration = main.retrieve_connection_pool(name, **role)&.db_config
          next if configuration.nil? || @configurations[name].equal?(configuration)

          # A connection need not have the name of a class.
          @handler.establish_connection(own(configuration), owner_name: name.safe_constantize || name, **role)
          @configurations[name] = configuration
        end
      end

      # @return [void]
      def disconnect
        @handler.clear_all_connections!(role[:role])
      end

      private

      def own(configuration)
        ActiveRecord::DatabaseConfigurations::HashConfig.new(
          configuration.env_name, "replicates_to", configuration.configuration_hash.merge(OVERRIDES)
        )
      end

      def role
        {role: ActiveRecord::Base.default_role, shard: ActiveRecord::Base.default_shard}
      end
    end

    # ActiveRecord::Reflection and AssociationScope: how the rows of an association are reached from its owner.
    class AssociationPath
      # What a relation may say that is of no use for finding all of its rows.
      OF_A_LIST = %i[select distinct order limit offset group having lock].freeze

      # @param model [Class] the owner's class
      # @param name [Symbol] of the association
      def initialize(model, name)
        @model = model
        @reflection = model._reflect_on_association(name)
      end

      # @return [Boolean]
      def found?
        !@reflection.nil?
      end

      # @return [Boolean] whether the owner's row points to the other one, and not the other way
      def up?
        @reflection.belongs_to?
      end

      # @return [Boolean] whether its row says which class it leads to
      def polymorphic?
        @reflection.polymorphic?
      end

      # @return [Array<Class>] whose rows it goes through, and leads to
      def classes
        @reflection.chain.map(&:klass)
      end

      # @return [String, nil] why nobody can use the association
      def fault
        @reflection.check_validity!
        klass
        nil
      rescue ActiveRecord::ConnectionNotEstablished, ActiveRecord::StatementInvalid
        raise
      rescue ActiveRecord::ActiveRecordError, NameError, ArgumentError => e
        e.message.lines.first.chomp
      end

      # @return [Class] that it leads to
      def klass
        @reflection.klass
      end

      # @return [Boolean] whether nothing else of the owner is needed
      def by_primary_key?
        scopes = @reflection.chain.flat_map(&:scopes)
        Array(first.join_foreign_key) == Array(@model.primary_key) && scopes.all? { |scope| scope.arity.zero? }
      end

      # @return [(String, String), nil] table and column that refer to the owner; nil where a second column says to whom
      def reference
        [first.klass.table_name, first.join_primary_key.to_s] unless first.type
      end

      # @param primary_key [Object] of an owner, who need not be there
      # @return [ActiveRecord::Relation] without default scopes
      def relation(primary_key)
        owner = @model.new
        owner.id = primary_key
        ActiveRecord::Associations::AssociationScope.scope(owner.association(@reflection.name)).except(*OF_A_LIST).distinct
      end

      private

      def first
        @reflection.chain.last
      end
    end

    class << self
      # @return [ActiveRecord::ConnectionAdapters::AbstractAdapter] this thread's connection of a model
      def connection_of(model)
        model.respond_to?(:lease_connection) ? model.lease_connection : model.connection
      end

      # For threads of the application. From Rails 7.2 on a thread keeps a connection that it asks for like this only while
      # the block runs, whoever asks for it inside; for good would starve the pool.
      #
      # @yieldparam connection [ActiveRecord::ConnectionAdapters::AbstractAdapter] this thread's connection of a model
      def with_connection(model, &block)
        return yield connection_of(model) unless model.respond_to?(:with_connection)

        model.with_connection(prevent_permanent_checkout: true, &block)
      end

      # @return [Symbol] :none, :open or :failed, as PostgreSQL's client library knows it
      def transaction_status(connection)
        # In 7.1 and later the first, which is nil until it is needed; the other before.
        client = connection.instance_variable_get(:@raw_connection) || connection.instance_variable_get(:@connection)
        return :none if client.nil? || client.finished?

        case client.transaction_status
        when PG::PQTRANS_INERROR then :failed
        when PG::PQTRANS_ACTIVE, PG::PQTRANS_INTRANS then :open
        else :none
        end
      end

      # @param arguments [Array] of `_insert_record`: the values, and from Rails 7.1 on the columns that it returns
      # @param returned [Object, Array] the primary key, or those columns' values
      # @return [Object] the primary key of the new row, given or returned
      def inserted_key(model, arguments, returned)
        columns = arguments.grep(Array).first || [model.primary_key]
        returned = columns.zip(returned.is_a?(Array) ? returned : [returned]).to_h
        PrimaryKey.in_row(model, returned.merge(assigned(model, arguments.grep(Hash).first || {}).compact))
      end

      # Rails 7.0 and later write attributes, earlier ones their values.
      #
      # @param values [Hash{String => Object}] of a statement
      # @return [Hash{String => Object}] those of them that name the row, as the model reads them
      def assigned(model, values)
        values.slice(*model.primary_key).to_h do |name, value|
          [name, model.type_for_attribute(name).cast(ActiveModel::Attribute === value ? value.value : value)]
        end
      end

      # @param database [String] as models call their connection
      # @return [ActiveRecord::ConnectionAdapters::AbstractAdapter] this thread's connection to it
      def connection_to(database)
        ActiveRecord::Base.connection_handler.retrieve_connection(database, role: ActiveRecord::Base.current_role,
                                                                            shard: ActiveRecord::Base.current_shard)
      end

      # @param model [Class]
      # @return [ActiveRecord::ConnectionAdapters::ConnectionPool, nil] whether or not one of its connections is open yet: Rails
      #   7.2 opens one with its first statement
      def pool_of(model)
        model.connection_handler.retrieve_connection_pool(model.connection_specification_name)
      end

      # @return [Notes] of the innermost open transaction
      def notes_of(model)
        with_connection(model) { |connection| connection.current_transaction.replicates_to_notes }
      end

      # @yield a statement on one row, and its note, in one transaction
      def noting(model, &block)
        with_connection(model) { |connection| in_transaction(connection, &block) }
      end

      # @param cover [BulkWrites::Cover, nil]
      # @yield Rails' own way to the one statement that is covered
      def covering(model, cover)
        return yield unless cover

        with_connection(model) do |connection|
          in_transaction(connection) do
            connection.replicates_to_cover = cover
            yield
          ensure
            connection.replicates_to_cover = nil
          end
        end
      end

      # @yieldreturn [String] the statement
      # @return [Outbox::Covered]
      def run_covered(connection, name)
        cover = connection.replicates_to_cover
        connection.replicates_to_cover = nil
        outbox = Outbox.of(cover.model.name, connection).tap(&:verify)
        covered = outbox.cover(connection.unprepared_statement { yield }, name, cover)
        connection.current_transaction.replicates_to_notes.add_written(cover.model, covered.ids)
        covered
      end

      # What is noted hangs on a transaction that commits. One that is not joinable (fixtures, console --sandbox) does not:
      # what runs in it gets a savepoint, as every save does.
      def in_transaction(connection, &block)
        transaction = connection.current_transaction
        transaction.open? && transaction.joinable? ? yield : connection.transaction(&block)
      end

      # @return [Object] equal for connections to the same database with the same configuration
      def database_of(connection)
        connection.pool.db_config.configuration_hash.slice(:url, :host, :port, :database, :schema_search_path)
      end

      # @return [Boolean] whether the database ends with its connection
      def in_memory?(connection)
        connection.adapter_name == "SQLite" && connection.pool.db_config.database.to_s.match?(/\A(:memory:)?\z|mode=memory/)
      end

      # `console --sandbox` opens a transaction on every connection and rolls it back at its end: whatever was published
      # from there, nobody could note down.
      #
      # @return [Boolean]
      def sandbox?
        (defined?(Rails.application) && Rails.application&.sandbox?) || false
      end

      # @return [Array<Symbol>] of the model's database
      def shards_of(model)
        manager = model.connection_handler.send(:get_pool_manager, model.connection_specification_name)
        manager ? manager.shard_names.uniq : []
      end

      # @return [Object] of the column, whatever a reader of that name returns
      def column_value(record, name)
        record._read_attribute(name)
      end

      # @return [Array<String>, nil] columns by which a statement on one row finds it, where they are not the primary key's
      def row_constraints(model)
        model.query_constraints_list if model.respond_to?(:query_constraints_list)
      end

      # @return [Boolean] whether an attribute has the type that its column gives it, perhaps under other limits: what the
      #   database holds says more than them
      def column_type?(model, column)
        # A serialized type says that it equals the one it wraps.
        return false if serialized?(model, column.name)

        same_type?(unwrapped(model.type_for_attribute(column.name)), unwrapped(type_of(model, column)))
      end

      # @return [Boolean]
      def serialized?(model, name)
        ActiveRecord::Type::Serialized === model.type_for_attribute(name)
      end

      # @return [Boolean]
      def enum?(model, name)
        model.defined_enums.key?(name)
      end

      # @return [Array<String>] `encrypts` exists from Rails 7.0
      def encrypted_attributes(model)
        model.respond_to?(:encrypted_attributes) ? model.encrypted_attributes.to_a.map(&:to_s) : []
      end

      # @return [Boolean] whether columns without a zone hold times of the process's own zone
      def local_times?
        (ActiveRecord.respond_to?(:default_timezone) ? ActiveRecord.default_timezone : ActiveRecord::Base.default_timezone) == :local
      end

      # @param name [Symbol] of a method about an attribute
      # @return [Boolean] whether it is Rails' own, and not one that the application put over it
      def generated?(model, name)
        model.define_attribute_methods
        ActiveRecord::AttributeMethods::GeneratedAttributeMethods === model.instance_method(name).owner
      end

      # @param records [Array<ActiveRecord::Base>] of one class
      # @param associations [Array] as in `includes`
      # @param strict [Boolean] whether the rows of the associations, too, may only read what is preloaded
      # @return [void]
      def preload(records, associations, strict:)
        return if records.empty? || associations.empty?

        scope = ActiveRecord::Relation::StrictLoadingScope if strict
        preloader = ActiveRecord::Associations::Preloader
        if preloader.instance_method(:initialize).parameters.include?(%i[keyreq records])
          preloader.new(records: records, associations: associations, scope: scope).call
        else
          preloader.new.preload(records, associations, scope)
        end
      end

      # @yield with every ActiveSupport::CurrentAttributes empty; afterwards they are what they were
      # @return [Object] the block's value
      def without_current
        return yield unless ActiveSupport::CurrentAttributes.respond_to?(:current_instances, true)

        instances = ActiveSupport::CurrentAttributes.send(:current_instances)
        kept = instances.dup
        instances.clear
        yield
      ensure
        instances.replace(kept) if kept
      end

      private

      # Rails 8.1 asks the column.
      def type_of(model, column)
        connection = connection_of(model)
        column.respond_to?(:fetch_cast_type) ? column.fetch_cast_type(connection) : connection.lookup_cast_type_from_column(column)
      end

      # What `attribute :at, :datetime` gives, and what columns have.
      DATETIMES = %w[DateTime Timestamp TimestampWithTimeZone].map { |name| "ActiveRecord::ConnectionAdapters::PostgreSQL::OID::#{name}" }
      private_constant :DATETIMES

      def same_type?(one, other)
        classes = [one.class, other.class]
        return false unless one.type == other.type && (classes.uniq.one? || (classes.map(&:name) - DATETIMES).empty?)

        !one.respond_to?(:subtype) || same_type?(one.subtype, other.subtype)
      end

      # These wrap a column's type without changing what it reads. Normalization came with Rails 7.1, and moved with 8.1.
      WRAPPERS = %w[
        ActiveRecord::AttributeMethods::TimeZoneConversion::TimeZoneConverter ActiveRecord::Locking::LockingType
        ActiveRecord::Normalization::NormalizedValueType ActiveModel::Attributes::Normalization::NormalizedValueType
      ].freeze
      private_constant :WRAPPERS

      def unwrapped(type)
        @wrappers ||= WRAPPERS.filter_map(&:safe_constantize)
        type = type.__getobj__ while @wrappers.any? { |wrapper| wrapper === type }
        type
      end
    end
  end
end
