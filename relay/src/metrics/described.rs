//! The names of the metrics, without the prefix, and what people read beside them.

use super::Metrics;

impl Metrics {
    pub(super) fn register(&mut self) {
        self.register_traffic();
        self.register_state();
        self.register_log();
        self.register_configuration();
    }

    fn register_traffic(&mut self) {
        let registry = &mut self.registry;
        registry.register("records", "Records read from Kafka", self.records.clone());
        registry.register("attempts", "HTTP requests", self.attempts.clone());
        registry.register(
            "deliveries",
            "Deliveries that reached a state",
            self.deliveries.clone(),
        );
        registry.register(
            "attempt_duration_seconds",
            "Whole exchanges",
            self.attempt_duration.clone(),
        );
        registry.register(
            "delivery_latency_seconds",
            "From the source's commit to the acknowledgement",
            self.delivery_latency.clone(),
        );
    }

    fn register_state(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "lag_seconds",
            "Age of the oldest undelivered record that does not wait for a person",
            self.lag.clone(),
        );
        registry.register(
            "lag_target_seconds",
            "Above it the destination is late",
            self.lag_target.clone(),
        );
        registry.register(
            "kafka_lag_seconds",
            "Age of the record at the committed offset",
            self.kafka_lag.clone(),
        );
        registry.register(
            "kafka_lag_records",
            "Records after the committed offset",
            self.kafka_lag_records.clone(),
        );
        registry.register(
            "undelivered",
            "Undelivered records in the store",
            self.undelivered.clone(),
        );
        registry.register("in_flight", "Requests in flight", self.in_flight.clone());
        registry.register(
            "concurrency_limit",
            "Most requests in flight",
            self.concurrency_limit.clone(),
        );
        registry.register(
            "breaker_open",
            "1 while a breaker of the destination is open",
            self.breaker_open.clone(),
        );
        registry.register(
            "held_seconds",
            "Time in which a destination was held",
            self.held.clone(),
        );
        registry.register(
            "offset_gap_records",
            "Records that had expired before they were read, at most, since the relay started",
            self.offset_gap.clone(),
        );
        registry.register(
            "misplaced_records",
            "Records that were read from another partition than that of their key, since the relay started",
            self.misplaced.clone(),
        );
    }

    fn register_log(&mut self) {
        let registry = &mut self.registry;
        registry.register("log_rows", "Rows of the log", self.log_rows.clone());
        registry.register(
            "log_flush_duration_seconds",
            "Writing a batch of the log",
            self.log_flush_duration.clone(),
        );
        registry.register(
            "log_partitions_ahead",
            "Partitions beyond the furthest expiry in use",
            self.log_partitions_ahead.clone(),
        );
        registry.register(
            "log_partitions_dropped",
            "Partitions dropped when they had expired",
            self.log_partitions_dropped.clone(),
        );
    }

    fn register_configuration(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "config_reload_success",
            "1 when the configuration that was read last holds, 0 when it was refused",
            self.config_reload_success.clone(),
        );
        registry.register(
            "config_reload_timestamp_seconds",
            "When the configuration that holds was read",
            self.config_reload_timestamp.clone(),
        );
    }
}
