# frozen_string_literal: true

require_relative "receiver_helper"
# Rails is loaded for all specs of the process from here on: they are not in development.
ENV["RAILS_ENV"] ||= "test"
require "rails"
require "generators/replicates_to/receiver/receiver_generator"

RSpec.describe ReplicatesTo::Generators::ReceiverGenerator do
  around do |example|
    Dir.mktmpdir("receiver-generator") do |folder|
      @folder = folder
      FileUtils.mkdir_p(File.join(folder, "config"))
      File.write(File.join(folder, "config/routes.rb"), "Rails.application.routes.draw do\nend\n")
      example.run
    end
  end

  before { stub_const("Billing::Application", Class.new) }

  def generate
    allow(Rails).to receive(:application).and_return(Billing::Application.new)
    described_class.new([], {quiet: true}, destination_root: @folder).invoke_all
  end

  def files
    Dir.glob("**/*", base: @folder).select { |path| File.file?(File.join(@folder, path)) }
       .to_h { |path| [path, File.read(File.join(@folder, path))] }
  end

  it "writes initializer, mount line and migration" do
    generate

    expect(files.keys).to match_array(["config/initializers/replicates_to_receiver.rb", "config/routes.rb",
                                       match(%r{\Adb/migrate/\d{14}_create_replicates_to_versions\.rb\z})])
    expect(files["config/initializers/replicates_to_receiver.rb"]).to include('ENV.fetch("BILLING_WEBHOOK_SECRET")')
    expect(files["config/routes.rb"]).to include('mount ReplicatesTo::Receiver => "/replicates_to"')
  end

  it "changes nothing when it runs again" do
    generate
    first = files
    generate

    expect(files).to eq(first)
  end
end
