# frozen_string_literal: true

require "active_support/core_ext/kernel/reporting"
require_relative "wire_json"

# A model of a table made for one example, and what its rows become. Rows are written by SQL: Rails would hide what it
# loses on the way.
module Samples
  # @param table [String] lines of cells between bars
  # @return [Array<Array<String>>]
  def self.rows(table)
    table.each_line.map { |line| line.split(" | ").map(&:strip) }
  end

  # The keyword came with Rails 7.1, which wants it; before, YAML went without saying.
  def self.serialize(model, name, coder, **options)
    return model.serialize(name, coder: coder, **options) if ActiveRecord.gem_version >= Gem::Version.new("7.1")

    coder == YAML ? model.serialize(name, *options[:type]) : model.serialize(name, coder)
  end

  # Rails 7.0 made the name an argument.
  def self.enum(model, name, labels)
    ActiveRecord.gem_version >= Gem::Version.new("7.0") ? model.enum(name, labels) : model.enum(name => labels)
  end

  def connection
    ActiveRecord::Base.connection
  end

  def identity
    connection.adapter_name == "SQLite" ? "integer primary key" : "bigserial primary key"
  end

  def model(columns, name: "Sample", parent: ActiveRecord::Base, **options, &body)
    connection.execute("create table samples (id #{identity}, #{columns})")
    connection.schema_cache.clear!
    connection.clear_cache!
    Class.new(parent) do
      define_singleton_method(:name) { name }
      self.table_name = "samples"
      include ReplicatesTo
      class_exec(&body) if body
      replicates_to :billing, **options
    end
  end

  def insert(values)
    connection.execute("insert into samples values (1, #{values})")
  end

  # The record of the only row.
  def record(model)
    quietly do
      mapping = model.replicates_to_mapping(:billing)
      mapping.schema.encode("1", 2, 1, 0, 0, nil, nil, mapping.values(model.unscoped.first))
    end
  end

  # Rails warns of types that it does not know, and 6.1 of interval columns.
  def quietly(&block)
    deprecator = ActiveRecord.respond_to?(:deprecator) ? ActiveRecord.deprecator : ActiveSupport::Deprecation
    silence_warnings { deprecator.silence(&block) }
  end

  # What the record says, read off the wire.
  def attributes(model)
    Wire.record(record(model)).attributes
  end

  # What a column of this type sends of a value that SQL wrote: `decimal "10.50"`.
  def sent(type, literal, **options, &body)
    klass = model("v #{type}", only: %i[v], **options, &body)
    insert(literal)
    WireJson.attributes(record(klass)).fetch("v")
  end

  def refused(...)
    sent(...).then { |value| raise "it was sent: #{value}" }
  rescue ReplicatesTo::EncodeError => e
    e.message
  end

  # As an application does that writes the times of its own clock into its columns.
  def with_local_times(zone)
    formerly, ENV["TZ"] = ENV.fetch("TZ", nil), zone
    home = ActiveRecord.respond_to?(:default_timezone=) ? ActiveRecord : ActiveRecord::Base
    home.default_timezone = :local
    yield
  ensure
    home.default_timezone = :utc
    ENV["TZ"] = formerly
  end

  def problem(...)
    quietly { model(...).replicates_to_mapping(:billing) }
    nil
  rescue ReplicatesTo::MappingError => e
    e.message
  end
end

RSpec.shared_context "with a table of samples" do
  include Samples

  after { connection.execute("drop table if exists samples") if ActiveRecord::Base.connected? }
end
