# frozen_string_literal: true

require_relative "spec_helper"
require_relative "support/samples"

# Text arrives as UTF-8, or not at all: never as something that only looks like text.
RSpec.describe "Databases in other encodings" do
  include_context "with a table of samples"

  # What `convert_from` makes of these bytes is what a program wrote that speaks the database's encoding.
  def text(hex, encoding)
    "convert_from('\\x#{hex}', '#{encoding}')"
  end

  def prepare
    connection.execute("create extension if not exists hstore")
    connection.send(:reload_type_map)
  end

  # With `encoding: unicode` the server converts; without it, text comes as the database has it.
  {"LATIN1" => ["fc", "ü"], "EUC_JP" => ["a4a2", "あ"], "WIN1252" => ["80", "€"]}.each do |encoding, (hex, character)|
    [nil, "unicode"].each do |client|
      context "with #{encoding} and the client's encoding #{client || "left alone"}" do
        include_context "with a database on", :postgresql, encoding: encoding, client: client

        before { prepare }

        {
          "text" => ["%s", 'string "%s"'], "varchar(1)" => ["%s", 'string "%s"'], "text[]" => ["array[%s, 'a']", 'list ["%s","a"]'],
          "text[][]" => ["array[array[%s]]", 'json [["%s"]]'], "json" => ["('\"' || %s || '\"')::json", 'json "%s"'],
          "jsonb" => ["jsonb_build_object(%s, 1)", 'json {"%s": 1}'], "json[]" => ["array[to_json(%s)]", 'json ["%s"]'],
          "hstore" => ["hstore('a', %s)", 'json {"a":"%s"}'], "hstore[]" => ["array[hstore(%s, 'a')]", 'json [{"%s":"a"}]'],
          "xml" => ["('<a>' || %s || '</a>')::xml", 'string "<a>%s</a>"']
        }.each do |type, (literal, expected)|
          it "converts #{type}" do
            expect(sent(type, format(literal, text(hex, encoding)))).to eq(format(expected, character))
          end
        end

        it "leaves bytea alone" do
          expect(sent("bytea", "'\\x#{hex}'")).to eq("bytes \"#{[[hex].pack("H*")].pack("m0")}\"")
        end

        it "converts the label of an enum" do
          connection.execute("do $$ begin execute format('create type mood as enum (%L)', #{text(hex, encoding)}); end $$")
          connection.send(:reload_type_map)
          expect(sent("mood", "#{text(hex, encoding)}::mood")).to eq("string \"#{character}\"")
        ensure
          connection.execute("drop table samples; drop type mood")
        end
      end
    end
  end

  # Such a database does not know what its bytes mean, and its server converts nothing; a client that asks for UTF-8 gets
  # nothing else, and the statement fails.
  [nil, "unicode"].each do |client|
    context "with SQL_ASCII and the client's encoding #{client || "left alone"}" do
      include_context "with a database on", :postgresql, encoding: "SQL_ASCII", client: client

      before { prepare }

      {
        "text" => ["%s", 'string "ü"'], "text[]" => ["array[%s]", 'list ["ü"]'], "json" => ["('\"' || %s || '\"')::json", 'json "ü"'],
        "hstore" => ["hstore(%s, %s)", 'json {"ü":"ü"}'], "text[][]" => ["array[array[%s]]", 'json [["ü"]]']
      }.each do |type, (literal, expected)|
        it "takes #{type} that is UTF-8, and refuses what is not" do
          expect(sent(type, literal.gsub("%s", text("c3bc", "SQL_ASCII")))).to eq(expected)
          connection.execute("drop table samples")
          # Rails, once it is loaded, lets every client that is left alone ask for UTF-8.
          asked = connection.select_value("show client_encoding") == "UTF8"
          expect(asked).to be(true) if client
          expect { sent(type, literal.gsub("%s", text("fc", "SQL_ASCII"))) }.to raise_error(
            asked ? ActiveRecord::StatementInvalid : ReplicatesTo::EncodeError, asked ? /invalid byte sequence/ : "v: text is not UTF-8"
          )
        end
      end
    end
  end
end
