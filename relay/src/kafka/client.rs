//! What a consumer asks of librdkafka.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::config::Kafka;

/// How often new topics are looked for, and how often librdkafka counts lag.
const METADATA_INTERVAL_MS: &str = "5000";
const STATISTICS_INTERVAL_MS: &str = "5000";

/// The least time between two heartbeats.
const HEARTBEAT_INTERVAL_MIN: Duration = Duration::from_millis(250);

/// What is set unless the user sets it.
const PREFERRED: [(&str, &str); 2] = [
    // What is prefetched for one consumer: librdkafka's 64 MiB are dear with many destinations.
    ("queued.max.messages.kbytes", "16384"),
    // Whoever finds back later than its session lasts loses its partitions, and hears of it last: librdkafka would wait for
    // up to 10 s between two attempts to connect.
    ("reconnect.backoff.max.ms", "1000"),
];

/// How often a member tells its group that it is there.
fn heartbeat_interval(kafka: &Kafka) -> Duration {
    (kafka.session_timeout / 4).max(HEARTBEAT_INTERVAL_MIN)
}

/// For how long a member that was there a moment ago is certain to be one still, though nobody hears of it: its last heartbeat
/// may have been its interval before.
pub fn trusted_for(kafka: &Kafka) -> Duration {
    kafka
        .session_timeout
        .saturating_sub(heartbeat_interval(kafka))
}

/// The settings of a destination's consumer. What is set here is refused as one of `kafka.properties`, or left to them.
pub(super) fn client(kafka: &Kafka, group: &str, replica: &str) -> ClientConfig {
    let session_ms = kafka.session_timeout.as_millis();
    let mut client = kafka.client();
    for (name, value) in PREFERRED {
        if client.get(name).is_none() {
            client.set(name, value);
        }
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
            heartbeat_interval(kafka).as_millis().to_string(),
        )
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("topic.metadata.refresh.interval.ms", METADATA_INTERVAL_MS)
        .set("statistics.interval.ms", STATISTICS_INTERVAL_MS)
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
    use crate::config::{Config, Environment, Problems};

    /// So many tries take librdkafka half a minute by itself, each pause being twice the one before.
    const TRIES: usize = 9;
    const PATIENCE: Duration = Duration::from_secs(15);

    /// Kafka as a configuration describes it that has such a line.
    fn kafka(line: &str) -> Result<Kafka, Problems> {
        let text = format!(
            "[kafka]\n{line}\n[store]\nurl = \"sqlite://relay.db\"\n\
             [destinations.billing]\nurl = \"http://127.0.0.1:1/\""
        );
        let overrides = [("RELAY__KAFKA__BROKERS", "['127.0.0.1:1']")];
        let config = Config::parse("relay.toml", &text, &Environment::of(overrides));
        config.map(|config| config.kafka)
    }

    #[test]
    fn what_users_set_is_refused_or_holds() {
        let set = client(&kafka("").unwrap(), "group", "relay-1");
        let mut held = vec![];
        for (name, value) in set.config_map() {
            if let Err(problems) = kafka(&format!("properties = {{ \"{name}\" = \"{value}\" }}")) {
                let own = format!("kafka.properties.{name} is the relay's own: ");
                let problems = problems.to_string();
                assert!(problems.contains(&own), "{problems}");
            } else {
                let half = value.parse::<u64>().unwrap() / 2;
                let kafka = kafka(&format!("properties = {{ \"{name}\" = {half} }}"));
                let set = client(&kafka.unwrap(), "group", "relay-1");
                assert_eq!(set.get(name), Some(&*half.to_string()), "{name}");
                held.push(name);
            }
        }
        assert_eq!(held, PREFERRED.map(|(name, _)| name));
    }

    #[test]
    fn a_broker_that_is_away_is_tried_again_every_second_however_long_it_is() {
        let broker = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut kafka = kafka("").unwrap();
        kafka.brokers = vec![broker.local_addr().unwrap().to_string()];
        let consumer: BaseConsumer = client(&kafka, "group", "relay-1")
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
