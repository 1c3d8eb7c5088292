# frozen_string_literal: true

require "stringio"
require_relative "native_helper"

RSpec.describe ReplicatesTo::Native::Schema, :native do
  def fields(*names)
    names.map { |name| [name, :integer, nil, false, false] }
  end

  it "takes values in the byte order of the names, whatever order they were declared in" do
    native = described_class.new("monolith", "Vehicle", 0, fields("b", "a", "é", "B", "ab"))
    expect(native.names).to eq(%w[B a ab b é])
    one = native.encode("42", *NativeHelper::ENVELOPE.values, [1, 2, 3, 4, 5])
    other = described_class.new("monolith", "Vehicle", 0, fields("é", "ab", "B", "b", "a"))
    expect(other.encode("42", *NativeHelper::ENVELOPE.values, [1, 2, 3, 4, 5])).to eq(one)
  end

  it "refuses a definition that it cannot keep" do
    expect { described_class.new("m", "V", 0, fields("a", "a")) }.to raise_error(ReplicatesTo::Error, "two fields are named a")
    expect { described_class.new("m", "V", 0, [["a", :intger, nil, false, false]]) }
      .to raise_error(ReplicatesTo::Error, "unknown kind :intger")
    expect { described_class.new("m", "V", 0, [["a", [:list, :nope], nil, false, false]]) }
      .to raise_error(ReplicatesTo::Error, "unknown kind :nope")
    expect { described_class.new("m", "V", 0, [["a", :integer]]) }
      .to raise_error(ReplicatesTo::Error, "[\"a\", :integer] is not [name, kind, scale, sensitive, volatile]")
    expect { described_class.new("m", "V", -1, []) }.to raise_error(ReplicatesTo::Error)
    expect { described_class.new("m", "V", 2**64, []) }.to raise_error(ReplicatesTo::Error)
  end

  it "refuses values that do not fit the fields" do
    native = schema(a: :integer, b: :integer)
    expect { native.encode("42", *NativeHelper::ENVELOPE.values, [1]) }.to raise_error(ReplicatesTo::Error, "1 values for 2 fields")
  end

  describe "keys" do
    {"" => "key: is empty", "a\nb" => "key: holds a control character", "\u0085" => "key: holds a control character",
     "\u007f" => "key: holds a control character", "a\0" => "key: holds a control character", "x" * 513 => "key: 513 bytes, more than 512",
     "é" * 257 => "key: 514 bytes, more than 512", "\xFF" => "key: text is not UTF-8"}.each do |key, message|
      it "refuses #{key.inspect[0, 30]}" do
        expect { record(:integer, 1, key:) }.to raise_error(ReplicatesTo::EncodeError, message)
      end
    end

    it "takes 512 bytes, and text of other encodings" do
      expect(record(:integer, 1, key: "é" * 256)).to include(("é" * 256).b)
      expect(record(:integer, 1, key: "é".encode("ISO-8859-1"))).to eq(record(:integer, 1, key: "é"))
    end
  end

  describe "the envelope" do
    {operation: [0, 5, nil, "update"], version: [-1, 2**63, nil],
     seconds: [nil, 2**70], nanoseconds: [-1, 1_000_000_000]}.each do |part, values|
      values.each do |value|
        it "refuses #{value.inspect} as #{part}" do
          expect { record(:integer, 1, part => value) }.to raise_error(ReplicatesTo::Error, /\A#{part} must be an integer from/)
        end
      end
    end

    it "refuses a run id or an origin that is not text" do
      expect { record(:integer, 1, run_id: "\xFF") }.to raise_error(ReplicatesTo::EncodeError, "run_id: text is not UTF-8")
      expect { record(:integer, 1, origin: "\xFF") }.to raise_error(ReplicatesTo::EncodeError, "origin: text is not UTF-8")
    end
  end

  it "stays whole when the garbage collector runs and moves at every allocation" do
    result = Scenario.result("garbage_collection")
    expect(result).to eq("equal" => true, "records" => Dir.glob(File.expand_path("../../../proto/fixtures/*.bin", __dir__)).length)
  end

  it "is shared by threads that come in while a value of another record is read" do
    native = schema(a: :string, b: :dynamic)
    # Asking this Hash for its JSON runs Ruby code, which lets the other threads in.
    yielding = Class.new(Hash) do
      def to_json(*)
        Thread.pass
        "{}"
      end
    end
    encode = ->(text) { native.encode("42", *NativeHelper::ENVELOPE.values, [text, yielding.new]) }
    texts = Array.new(4) { |number| number.to_s * 1_000 * (number + 1) }
    alone = texts.map(&encode)
    together = texts.map { |text| Thread.new { Array.new(200) { encode.call(text) } } }.map(&:value)
    expect(together.map(&:uniq)).to eq(alone.map { |bytes| [bytes] })
  end
end
