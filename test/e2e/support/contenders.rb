# frozen_string_literal: true

require "json"
require_relative "../../stack/patience"

# Two processes of the monolith that write the same vehicles; see {Contention}.
class Contenders
  ROWS_A_SECOND = 50
  PROCESSES = 2
  RUNNER = File.expand_path("contention_runner.rb", __dir__)

  # Starts them, and waits until both are ready to begin.
  # @param stack [Stack::Base]
  # @param folder [Stack::Folder]
  # @param first [Integer] id of the first vehicle
  # @param keys [Integer] how many there are
  def initialize(stack, folder, first:, keys:, create_and_delete:)
    @beginning = folder.file("contention")
    arguments = {first: first, keys: keys, create_and_delete: create_and_delete, number: "price", moment: 1.0}
    env = {"CONTENTION" => JSON.generate(arguments), "CONTENTION_BEGINS" => @beginning}
    @processes = Array.new(PROCESSES) { |number| stack.monolith.runner("contender-#{number}", RUNNER, env: env).tap(&:start) }
    @processes.each { |process| Stack::Patience.eventually("#{process.name} is ready; see #{process.log}") { process.said?("ready") } }
  end

  # Both begin at the same moment.
  def begin
    draft = "#{@beginning}.draft"
    File.write(draft, Time.now.to_f.to_s)
    File.rename(draft, @beginning)
  end

  # Waits until both have written all they wanted, and Kafka has acknowledged it.
  def finish(within:)
    @processes.each { |process| process.finish(within: within) }
  end
end
