# frozen_string_literal: true

require "open3"

# A topic on the real broker, read to its end with kcat.
class Topic
  # Partition, offset, and the lengths that say where key and value end.
  FORMAT = "%p %o %K %S\n%k%s\n"

  class << self
    # The last outbox id drawn before the example: records of earlier examples have it or a lower one.
    attr_accessor :baseline

    def created
      @created ||= Set.new
    end
  end

  attr_reader :name

  def initialize(name)
    @name = name
  end

  def create(partitions: 2)
    return if Topic.created.include?([Services.brokers, name])

    producer = ReplicatesTo::Kafka.producer
    producer.create_topic(name, partitions, -1, 30)
    Topic.created << [Services.brokers, name]
  ensure
    producer&.close(0)
  end

  # In the order of the log, partition by partition; of one key, that is the order in which they were sent.
  def records
    # The broker would wait half a second for more behind the last record.
    command = ["kcat", "-b", Services.brokers, "-C", "-t", name, "-e", "-q", "-X", "fetch.wait.max.ms=10", "-f", FORMAT]
    output, error, status = Open3.capture3(*command, binmode: true)
    raise "kcat: #{error}" unless status.success?

    parse(StringIO.new(output)).select { |record| (record.version & ID_MASK) > Topic.baseline }
                               .sort_by { |record| [record.partition_number, record.offset] }
  end

  private

  def parse(io)
    records = []
    until io.eof?
      partition, offset, key_size, size = io.gets.split.map(&:to_i)
      key = io.read(key_size)
      record = Wire.record(io.read(size))
      raise "message key #{key} of record #{record.key}" unless key == record.key.b

      record.partition_number, record.offset = partition, offset
      records << record
      io.readbyte
    end
    records
  end
end
