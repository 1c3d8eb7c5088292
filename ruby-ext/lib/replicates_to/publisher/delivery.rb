# frozen_string_literal: true

require "replicates_to/publisher/sweep"
require "replicates_to/publisher/lookout"
require "replicates_to/publisher/context"
require "replicates_to/publisher/fan_outs"
require "replicates_to/publisher/settlement"

module ReplicatesTo
  class Publisher
    # What the publisher's thread does: outbox rows become records, records go to the producer's queue, and what Kafka
    # acknowledged leaves the outbox. Used by that thread alone, but for the counters.
    class Delivery
      REPORTS_MAX = 10_000
      # A process that does not sweep wakes up this often for nothing.
      IDLE = 60
      SLICE = 0.05

      # @return [Native::Producer]
      attr_reader :producer
      # @return [Integer] records that found the queue full
      attr_reader :left_to_sweep

      # @param producer [Native::Producer, Memory::Producer]
      # @param context [Context, Memory::Context, nil] nil: one of this thread's own, made when first needed
      # @yieldparam change [Change] that was refused, once its row says so
      def initialize(producer: Kafka.producer, context: nil, &refused)
        @producer = producer
        @context = context
        @in_flight = InFlight.new
        @topics = Topics.new(@producer)
        @left_to_sweep = 0
        @settlement = Settlement.new(&refused)
        @sweep = Sweep.new
        @fan_outs = FanOuts.new
        @lookout = Lookout.new
      end

      # @return [Boolean] whether nothing is on its way
      def idle?
        @in_flight.size.zero? && @fan_outs.empty?
      end

      # @return [Integer] rows that Kafka has acknowledged since the process began
      def acknowledged
        @settlement.acknowledged
      end

      # @return [Integer] rows that could not be published since the process began
      def failed
        @settlement.failed
      end

      # @return [Hash{Symbol => Integer}]
      def status
        {queued_records: producer.queued_records, queued_bytes: producer.queued_bytes, acknowledged: acknowledged, failed: failed}
      end

      # @param database [String]
      # @param ids [Array<Integer>] outbox rows, which this session may not be able to see
      # @return [void]
      def publish(database, ids)
        ids = ids.reject { |id| @in_flight.include?(database, id) }
        return if ids.empty?

        changes = context.within(database) do |outbox|
          outbox.patiently { Batch.new(outbox, ids).read { |id, others| @fan_outs.add(database, id, others) } }
        end
        changes.group_by { |change| change.row.model }.each { |model, of_model| enqueue(database, model, of_model) }
      rescue StandardError => e
        context.raise_if_lost(database, e)
        return refuse_unread(database, ids.first, e) if ids.one?

        ids.each { |id| publish(database, [id]) }
      end

      # @param database [String]
      # @return [Integer] no outbox row that is written from now on has this id or a lower one
      def horizon(database)
        @lookout.horizon(database)
      end

      # @param database [String]
      # @param above [Integer] id of no row in question
      # @return [Symbol] :done, :more when there may be more, :full when Kafka does not keep up, which leaves them to the sweep
      def look(database, above)
        return :full if room.zero?

        ids = @lookout.take(context, database, above)
        publish(database, ids)
        ids.size < BATCH ? :done : :more
      end

      # @return [Integer] rows taken from the outbox
      def sweep(after)
        context.databases.sum { |database| sweep_database(database, after) }
      end

      # @return [Numeric] seconds that the thread may sleep
      def due_in
        return 0 if fan_out_due?

        ReplicatesTo.config["sweep.in_process"] ? @sweep.due_in : IDLE
      end

      # Goes on with the fan-outs for a moment, so that they cannot hold up what was committed meanwhile.
      #
      # @return [void]
      def fan_out
        return unless fan_out_due?

        @fan_outs.turn(context) do |database, ids, error|
          error ? refuse_fan_out(database, ids.first, error) : ids.each_slice(BATCH) { |slice| publish(database, slice) }
        end
      end

      # @return [void]
      def sweep_if_due
        return unless ReplicatesTo.config["sweep.in_process"] && @sweep.due_in <= 0
        return @sweep.postpone if crowded?

        free = room
        taken = sweep(ReplicatesTo.config["sweep.after"])
        @sweep.done(taken, free)
      end

      # What a fan-out noted while Kafka does not keep up would only be left to the sweep.
      #
      # @return [Boolean] whether one can go on
      def fan_out_due?
        !@fan_outs.empty? && room.positive?
      end

      # Deletes what Kafka has acknowledged, and marks what it refused.
      #
      # @return [void]
      def settle_reports
        until (reports = producer.drain(REPORTS_MAX)).empty?
          settle(@in_flight.report(reports), reports.size)
        end
        @settlement.write(context)
      end

      # The process ends: hands over what is waiting, gives Kafka the time that is left, forgets the rest.
      #
      # @param work [Mailbox::Work]
      # @return [void]
      def finish(work, deadline)
        work.wakes.each { |database, ids| ids.each_slice(BATCH) { |slice| publish(database, slice) if left(deadline).positive? } }
        work.looks.each { |database, above| nil while left(deadline).positive? && look(database, above) == :more }
        fan_out while fan_out_due? && left(deadline).positive?
        settle_reports until producer.flush(left(deadline).clamp(0, SLICE)) || !left(deadline).positive?
        settle_reports
      ensure
        producer.close([left(deadline), 0].max)
        context.forget
      end

      # After an error nothing is known about the connections: the next turn makes new ones.
      #
      # @return [void]
      def forget_connections
        context.forget
        @sweep.postpone
      end

      private

      def context
        @context ||= Context.new
      end

      # A database that is away does not hold up the others.
      def sweep_database(database, after)
        return 0 unless context.outbox?(database)

        @sweep.run(context, database, after, room) { |ids| ids.each_slice(BATCH) { |slice| publish(database, slice) } }
      rescue StandardError => e
        LogSubscriber.failure(e)
        context.forget
        0
      end

      # Kafka does not keep up: taking more rows on would only enqueue them twice.
      def crowded?
        @sweep.unfinished?(@in_flight) || room.zero?
      end

      # Half of the queue is kept for the fast way.
      def room
        [(ReplicatesTo.config["queue.records_max"] / 2) - producer.queued_records, 0].max
      end

      def enqueue(database, model, changes)
        event = {model: model, destinations: changes.flat_map { |change| change.publications.map { |p| p.mapping.destination } }.uniq,
                 records: 0, bytes: 0, queued: 0, full: 0}
        settled = ActiveSupport::Notifications.instrument("publish.replicates_to", event) do
          changes.filter_map { |change| enqueue_change(database, change, event) }.tap { event[:queued] = producer.queued_records }
        end
        settle(settled, 0)
        @settlement.write(context)
      end

      # @return [Integer, nil] the row's token, when it has nothing to wait for
      def enqueue_change(database, change, event)
        token = @in_flight.open(database, change)
        waiting = change.publications.sum { |publication| enqueue_record(change, publication, token, event) }
        # The values would otherwise stay in memory until Kafka answers.
        change.publications.clear
        token if waiting.zero?
      end

      # @return [Integer] 1 when a report will come, else 0
      def enqueue_record(change, publication, token, event)
        mapping = publication.mapping
        @topics.ensure(mapping.topic)
        bytes = producer.publish(mapping.topic, mapping.schema, publication.key, publication.operation, change.row.version,
                                 *change.row.created_at, nil, change.row.origin, publication.attributes, token)
        event[bytes ? :records : :full] += 1
        event[:bytes] += bytes.to_i
        return @in_flight.enqueued(token) && 1 if bytes

        @left_to_sweep += 1
        @in_flight.queue_full(token)
        0
      rescue Error => e
        change.refuse(e, destination: mapping.destination)
        0
      end

      # It may have been the connection to the dependants' database that broke: the next one is new.
      def refuse_fan_out(database, id, error)
        context.forget if error.is_a?(ActiveRecord::ActiveRecordError)
        refuse_unread(database, id, error)
      end

      def refuse_unread(database, id, error)
        context.within(database) do |outbox|
          row = outbox.find(ReplicatesTo.config["source"], [id]).first
          next unless row

          change = Change.new(row, [])
          change.refuse(error)
          settle([@in_flight.open(database, change)], 0)
        end
        @settlement.write(context)
      end

      def settle(tokens, reports)
        settled = @in_flight.settle(tokens)
        @settlement.add(settled)
        settled.each_value do |of_database|
          ActiveSupport::Notifications.instrument(
            "acknowledge.replicates_to", records: reports, failed: of_database.refused.size, deleted: of_database.delivered.size,
                                         outbox_oldest_seconds: @sweep.oldest_seconds
          )
        end
      end

      def left(deadline)
        deadline - Process.clock_gettime(Process::CLOCK_MONOTONIC)
      end
    end
  end
end
