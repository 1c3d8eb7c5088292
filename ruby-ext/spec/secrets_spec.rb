# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/samples"

# What must be named in sensitive: is what Rails would mask in a log.
RSpec.describe ReplicatesTo::Mapping::Secrets do
  include_context "with a table of samples"

  def filtered(name)
    "Sample: #{name} is filtered or encrypted; name it in sensitive: or in except:"
  end

  ADAPTERS.each do |adapter|
    context "with #{adapter}" do
      include_context "with a database on", adapter

      {
        "a name" => [[:ssn], "ssn"], "a part of a name" => [[:_key], "api_key"], "another case" => [["SSN"], "ssn"],
        "a pattern" => [[/\Ass/], "ssn"], "a block" => [[->(name, value) { value.replace("***") if name.end_with?("_key") }], "api_key"],
        "a path into json" => [["settings.color"], "settings"], "a deeper path into json" => [["settings.a.b"], "settings"],
        "a pattern of a path into json" => [[/settings\.color/], "settings"]
      }.each do |what, (filters, name)|
        it "refuses a column that is filtered by #{what}, whether selected by name or not" do
          body = proc { self.filter_attributes = filters }
          columns = "ssn text, api_key text, plain text, settings json"
          expect(problem(columns, &body)).to eq(filtered(name))
          connection.execute("drop table samples")
          expect(problem(columns, only: [name, "plain"], &body)).to eq(filtered(name))
          connection.execute("drop table samples")
          expect(problem(columns, only: [name, "plain"], rename: {name => "other"}, &body)).to eq(filtered(name))
          connection.execute("drop table samples")
          expect(problem(columns, sensitive: [name], &body)).to be_nil
          connection.execute("drop table samples")
          expect(problem(columns, except: [name], &body)).to be_nil
        end
      end

      {
        "a longer name" => [[:ssn_of_owner], "ssn"], "a pattern elsewhere in the name" => [[/\Akey/], "api_key"],
        "a path that starts elsewhere" => [["other.color"], "settings"], "a path into text" => [["ssn.first"], "ssn"],
        "a block that looks at another" => [[->(name, value) { value.replace("***") if name == "x" }], "ssn"]
      }.each do |what, (filters, name)|
        it "takes no notice of #{what}" do
          expect(problem("ssn text, api_key text, settings json", only: name) { self.filter_attributes = filters }).to be_nil
        end
      end

      it "refuses an accessor of a filtered store, and one whose path into its store is filtered" do
        with_store = proc { store :settings, accessors: %i[color size], coder: JSON }
        [[:settings], ["settings.color"], [:color]].each do |filters|
          body = proc do
            class_exec(&with_store)
            self.filter_attributes = filters
          end
          expect(problem("settings text", only: %i[color], &body)).to eq(filtered("color"))
          connection.execute("drop table samples")
        end
        body = proc do
          class_exec(&with_store)
          self.filter_attributes = ["settings.color"]
        end
        expect(problem("settings text", only: %i[size], &body)).to be_nil
      end
    end
  end
end
