# frozen_string_literal: true

# The test application keeps what the generators wrote for it; an older migration would leave its publisher without a column.
RSpec.describe "the monolith's migration" do
  root = File.expand_path("../../..", __dir__)

  it "is the one that rails g replicates_to:install writes" do
    template = File.read(File.join(root, "ruby-ext/lib/generators/replicates_to/install/templates/migration.rb.tt"))
    written = File.read(File.join(root, "test-apps/monolith/db/migrate/20261101000001_create_replicates_to.rb"))
    expect(written).to eq(template.sub("<%= migration_version %>", "6.1"))
  end
end
