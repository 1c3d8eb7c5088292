# frozen_string_literal: true

# The triggers of the tests' models, where `coverage: triggers` is on.
module TriggerSet
  module_function

  def create
    ReplicatesTo::Triggers.definitions.each { |definition| run(definition.create) }
  end

  def drop
    ReplicatesTo::Triggers.definitions.each { |definition| run(definition.drop) }
  end

  def run(sql)
    ActiveRecord::Base.connection.execute(sql)
    ReplicatesTo::Triggers.verified.clear
  end
end
