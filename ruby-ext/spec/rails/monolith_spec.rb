# frozen_string_literal: true

require "open3"
require_relative "../spec_helper"

# The test application keeps what the generators wrote for it; older migrations would leave its publisher without a column,
# and rows unnoted.
RSpec.describe "the monolith's migrations" do
  let(:root) { File.expand_path("../../..", __dir__) }
  let(:database) { Database.create(:postgresql) }

  after { database.drop }

  it "are the one that rails g replicates_to:install writes" do
    template = File.read(File.join(root, "ruby-ext/lib/generators/replicates_to/install/templates/migration.rb.tt"))
    written = File.read(File.join(root, "test-apps/monolith/db/migrate/20261101000001_create_replicates_to.rb"))
    expect(written).to eq(template.sub("<%= migration_version %>", "6.1"))
  end

  it "and, of its triggers, those that check finds right" do
    environment = {"DATABASE_URL" => database.config[:url], "REPLICATES_TO_COVERAGE" => "triggers", "REPLICATES_TO_TRANSPORT" => "memory"}
    output, = Open3.capture2e(environment, "bin/rake", "db:migrate", "replicates_to:check", chdir: File.join(root, "test-apps/monolith"))
    expect(output.lines.grep(/\A(ok|warn|FAIL) +coverage/).map { |line| line.squeeze(" ") }).to eq(
      %w[drivers owners vehicles].map { |table| "ok coverage #{table}, by triggers\n" }
    ), output
  end
end
