# frozen_string_literal: true

# What a row was at every moment, written down by triggers of the test's own while the row's lock is held, so that the order
# of its entries is the order of its states; and for each version, the state that was there when it was drawn.
class History
  # Table => [model, columns that are published].
  TABLES = {"cars" => ["Car", %w[plate number active fleet_id lessor_id]], "fleets" => ["Fleet", %w[name cars_count]]}.freeze
  # Fields of a state, apart. No plate or name has it.
  SEPARATOR = "|"

  def self.keep(connection)
    connection.execute(<<~SQL)
      create table history (id bigserial primary key, model text not null, key text not null, state text);
      create index on history (model, key, id);
      create table labels (version bigint primary key, model text not null, key text not null, history_id bigint);
      create function label() returns trigger language plpgsql as $$ begin
        insert into labels select new.id, new.model, new.primary_key::json ->> 0,
          (select max(id) from history where model = new.model and key = new.primary_key::json ->> 0);
        return null;
      end $$;
      create trigger label after insert on replicates_to_outbox for each row execute function label();
    SQL
    TABLES.each { |table, (model, columns)| connection.execute(recorder(table, model, columns)) }
  end

  def self.recorder(table, model, columns)
    state = columns.map { |name| "coalesce(new.#{name}::text, '')" }.join(" || '#{SEPARATOR}' || ")
    <<~SQL
      create function record_#{table}() returns trigger language plpgsql as $$ begin
        if tg_op = 'DELETE' then
          insert into history (model, key, state) values ('#{model}', old.id::text, null);
        else
          insert into history (model, key, state) values ('#{model}', new.id::text, #{state});
        end if;
        return null;
      end $$;
      create trigger a_record_#{table} after insert or update or delete on #{table} for each row execute function record_#{table}();
    SQL
  end

  # @param connection [ActiveRecord::ConnectionAdapters::AbstractAdapter]
  # @param model [String]
  def initialize(connection, model)
    @columns = TABLES.each_value.to_h.fetch(model)
    quoted = connection.quote(model)
    @labels = connection.select_rows("select version, key, history_id from labels where model = #{quoted} order by version")
    @places = Hash.new { |places, key| places[key] = {} }
    connection.select_rows("select id, key, state from history where model = #{quoted} order by id")
              .each { |id, key, state| @places[key][state] = id }
  end

  # @param records [Array<Wire::Record>] as published
  # @return [Array<String>] one line for each that shows a state older than one that its version, or a lower one, was drawn for
  def too_old(records)
    floors = floors_of(records)
    records.filter_map do |record|
      place = @places[record.key][state_of(record)]
      floor = floors.fetch([record.key, record.version])
      next if place && place >= floor

      "#{record.key} version #{record.version} shows state #{place.inspect}, was drawn at #{floor}: #{state_of(record).inspect}"
    end
  end

  private

  # The latest state that any version up to this one was drawn for.
  def floors_of(records)
    published = records.map { |record| [record.key, record.version] }.to_set
    highest = Hash.new(0)
    @labels.each_with_object({}) do |(version, key, history_id), floors|
      highest[key] = [highest[key], history_id || 0].max
      floors[[key, version]] = highest[key] if published.include?([key, version])
    end
  end

  def state_of(record)
    return if record.operation == "delete"

    @columns.map { |name| record.attributes.fetch(name).to_s }.join(SEPARATOR)
  end
end
