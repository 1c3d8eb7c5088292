# frozen_string_literal: true

module ReplicatesTo
  module ColumnTypes
    class PostgreSQL
      # The text of an hstore: `"key"=>"value", "other"=>NULL`, with backslashes before quotes and backslashes.
      module Hstore
        PAIR = /"((?:[^"\\]|\\.)*)"=>(?:"((?:[^"\\]|\\.)*)"|NULL)/m
        ESCAPED = /\\(.)/m

        module_function

        # @param raw [String]
        # @return [Hash{String => String, nil}] in the order of the text
        def parse(raw)
          raw.scan(PAIR).to_h { |key, value| [plain(key), value && plain(value)] }
        end

        def plain(text)
          text.include?("\\") ? text.gsub(ESCAPED, '\1') : text
        end
        private_class_method :plain
      end
    end
  end
end
