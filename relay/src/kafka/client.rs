//! What a consumer asks of librdkafka.

use rdkafka::ClientConfig;

use crate::config::Kafka;

/// What librdkafka prefetches for one consumer, in KiB: its default of 64 MiB is dear with many destinations.
const PREFETCH_KIB: &str = "16384";

/// How often new topics are looked for, and how often librdkafka counts lag.
const METADATA_INTERVAL_MS: &str = "5000";
const STATISTICS_INTERVAL_MS: &str = "5000";

/// The longest wait between two attempts to connect to a broker.
const RECONNECT_WAIT_MAX_MS: &str = "1000";

/// The settings of a destination's consumer.
pub(super) fn client(kafka: &Kafka, group: &str, replica: &str) -> ClientConfig {
    let session_ms = kafka.session_timeout.as_millis();
    let mut client = kafka.client();
    // Whoever finds back later than its session lasts loses its partitions, and hears of it last: librdkafka would wait for
    // up to 10 s between two attempts to connect.
    if client.get("reconnect.backoff.max.ms").is_none() {
        client.set("reconnect.backoff.max.ms", RECONNECT_WAIT_MAX_MS);
    }
    client
        .set("client.id", replica)
        .set("group.id", group)
        .set("group.instance.id", replica)
        .set("group.protocol", "classic")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", session_ms.to_string())
        .set(
            "heartbeat.interval.ms",
            (session_ms / 4).max(250).to_string(),
        )
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.refresh.interval.ms", METADATA_INTERVAL_MS)
        .set("statistics.interval.ms", STATISTICS_INTERVAL_MS)
        .set("queued.max.messages.kbytes", PREFETCH_KIB)
        .set_log_level(rdkafka::config::RDKafkaLogLevel::Warning);
    client
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::mpsc;
    use std::time::Duration;

    use rdkafka::consumer::{BaseConsumer, Consumer as _};
    use relay_test_support::wait::wait_until;

    use super::*;
    use crate::config::{Config, Environment};

    /// So many tries take librdkafka half a minute by itself, each pause being twice the one before.
    const TRIES: usize = 9;
    const PATIENCE: Duration = Duration::from_secs(15);

    /// Kafka as a configuration describes it whose broker is there.
    fn kafka_at(broker: &TcpListener) -> Kafka {
        let broker = broker.local_addr().unwrap();
        let text = format!(
            "[kafka]\nbrokers = [\"{broker}\"]\n[store]\nurl = \"sqlite://relay.db\"\n\
             [destinations.billing]\nurl = \"http://127.0.0.1:1/\""
        );
        let config = Config::parse("relay.toml", &text, &Environment::of([("NONE", "")]));
        config.unwrap().kafka
    }

    #[test]
    fn a_broker_that_is_away_is_tried_again_every_second_however_long_it_is() {
        let broker = TcpListener::bind("127.0.0.1:0").unwrap();
        let consumer: BaseConsumer = client(&kafka_at(&broker), "group", "relay-1")
            .set_log_level(rdkafka::config::RDKafkaLogLevel::Emerg)
            .create()
            .unwrap();
        consumer.subscribe(&["topic"]).unwrap();
        let (tried, heard) = mpsc::channel();
        // Closes whatever comes; ends with the test.
        std::thread::spawn(move || {
            while let Ok((connection, _)) = broker.accept() {
                drop(connection);
                if tried.send(()).is_err() {
                    return;
                }
            }
        });
        let mut seen = 0;
        wait_until("a broker that is away to be tried", PATIENCE, || {
            // Errors come by this, too: what counts is what the broker saw.
            let _ = consumer.poll(Duration::ZERO);
            seen += heard.try_iter().count();
            seen >= TRIES
        });
    }
}
