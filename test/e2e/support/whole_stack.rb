# frozen_string_literal: true

require "pg"
require_relative "../../stack/real"

# A stack for all examples of a group: the applications, the relay, real Kafka and PostgreSQL.
RSpec.shared_context "with everything running" do
  before(:all) do
    @folder = Stack::Folder.new("e2e")
    @stack = Stack::Real.new(@folder, kafka: own_kafka)
    @stack.start
  end

  after(:all) do
    @stack&.stop
    @folder.release
  end

  # @return [Stack::Real]
  attr_reader :stack

  def eventually(...)
    Stack::Patience.eventually(...)
  end

  def monolith
    stack.monolith.http
  end

  # @return [Integer] id
  def create_vehicle(**values)
    monolith.call(:post, "/vehicles", values, status: 201).fetch("id")
  end

  # @return [Stack::Services, nil] where the broker runs, if not with the repository's services
  def own_kafka
    nil
  end
end

# The same with a broker that belongs to the group alone: it can be taken down, and reached through a proxy.
RSpec.shared_context "with everything and a broker of its own running" do
  include_context "with everything running"

  def own_kafka
    @own_kafka ||= Stack::Services.new(@folder, home: @folder.file("services"))
  end
end
