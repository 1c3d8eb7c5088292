# frozen_string_literal: true

module ReplicatesTo
  class Check
    # The outbox of each database.
    class Database
      # @param findings [Findings]
      def initialize(findings)
        @findings = findings
      end

      # @return [void]
      def run
        models = Registry.noted
        models.group_by(&:connection_specification_name).each_value { |of_database| check_outbox(of_database.first) }
        models.each { |model| check_shards(model) }
      end

      private

      def check_outbox(model)
        subject = subject(model)
        connection = RailsPrivate.connection_of(model)
        outbox = Outbox.of(model.name, connection)
        fault = outbox.fault
        return @findings.fail(subject, fault) if fault
        return @findings.fail(subject, Outbox::SQLite::IN_MEMORY) if RailsPrivate.in_memory?(connection) && !ReplicatesTo.config.memory?

        report(subject, outbox)
        Generation.new(@findings, subject(model, "generation")).run(outbox.identity)
      rescue MappingError => e
        @findings.fail(subject, e.message)
      rescue ActiveRecord::ActiveRecordError => e
        @findings.fail(subject, "the database of #{model.name} does not answer: #{Check.reason(e)}")
      end

      # By the class that connects to it, where that is not everybody's.
      def subject(model, what = "outbox")
        database = model.connection_specification_name
        database == "ActiveRecord::Base" ? what : "#{what} of #{database}"
      end

      def report(subject, outbox)
        source, after = ReplicatesTo.config["source"], ReplicatesTo.config["sweep.after"]
        old = outbox.older(source, after)
        @findings.ok(subject, "#{outbox.describe}, #{old} rows older than #{after} s")
        failing = outbox.failing(source, limit: 1).first
        return unless failing

        @findings.warn(subject, "#{outbox.counts(source)[:failing]} rows cannot be published, the first is " \
                                 "#{failing.model} #{failing.primary_key}: #{failing.error}")
      end

      def check_shards(model)
        shards = RailsPrivate.shards_of(model)
        @findings.fail(model.name, "lives in the shards #{shards.join(', ')}, which replicates_to does not support") if shards.size > 1
      end
    end
  end
end
