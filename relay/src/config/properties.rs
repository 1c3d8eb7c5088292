//! `kafka.properties`: what librdkafka may be told besides what the relay tells it.

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;

use super::secret::Secret;
use super::section::{MASK, Section};
use super::tree::{Node, Value};
use crate::nearest;

/// All that may be set: how brokers are reached and trusted, who the relay is to them, how long it waits, and how much it
/// fetches. What is not listed is refused, so that no property that librdkafka has, or gets, can break a promise unseen.
const OPEN: [&str; 89] = [
    "api.version.request.timeout.ms",
    "broker.address.family",
    "broker.address.ttl",
    "check.crcs",
    "client.dns.lookup",
    "client.rack",
    "connections.max.idle.ms",
    "coordinator.query.interval.ms",
    "enable.metrics.push",
    "enable.sasl.oauthbearer.unsecure.jwt",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "https.ca.location",
    "https.ca.pem",
    "log.connection.close",
    "log.thread.name",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "message.max.bytes",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.assertion.algorithm",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.exp.seconds",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.jti.include",
    "sasl.oauthbearer.assertion.claim.nbf.seconds",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.grant.type",
    "sasl.oauthbearer.metadata.authentication.type",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.providers",
    "ssl.sigalgs.list",
    "topic.metadata.refresh.fast.interval.ms",
];

pub(super) fn read(section: &Section<'_>) -> Option<BTreeMap<String, Secret>> {
    let mut properties = BTreeMap::new();
    let mut shown = serde_json::Map::new();
    let mut is_right = true;
    for (name, node) in section.entries("properties") {
        match read_property(section, name, node) {
            Some((value, is_secret)) => {
                let text = if is_secret { MASK } else { value.expose() };
                shown.insert(name.clone(), text.into());
                properties.insert(name.clone(), value);
            }
            None => is_right = false,
        }
    }
    section.show("properties", shown);
    is_right.then_some(properties)
}

/// The value of a property, and whether it is a secret.
fn read_property(section: &Section<'_>, name: &str, node: &Node) -> Option<(Secret, bool)> {
    if let Some(owner) = owner_of(name) {
        return section.problem(node, format!("is the relay's own: {owner}"));
    }
    if !OPEN.contains(&name) {
        let hint = nearest::hint(name, OPEN);
        let message = format!("is none of librdkafka's properties that may be set{hint}");
        return section.problem(node, message);
    }
    let (value, is_secret) = match &node.value {
        _ if is_secret_property(name) => (section.secret(node)?, true),
        Value::Integer(integer) => (Secret::new(integer.to_string()), false),
        Value::Number(number) => (Secret::new(number.to_string()), false),
        Value::Flag(flag) => (Secret::new(flag.to_string()), false),
        _ => {
            let resolved = section.resolve(node, "a string, a number or a boolean")?;
            (Secret::new(resolved.text), resolved.is_reference)
        }
    };
    match refusal(name, &value) {
        None => Some((value, is_secret)),
        // librdkafka quotes the value.
        Some(_) if is_secret => section.problem(node, "is refused by librdkafka"),
        Some(reason) => section.problem(node, format!("is refused by librdkafka: {reason}")),
    }
}

/// What librdkafka has against a property; it knows their limits best.
fn refusal(name: &str, value: &Secret) -> Option<String> {
    match ClientConfig::new()
        .set(name, value.expose())
        .create_native_config()
    {
        Ok(_) => None,
        Err(KafkaError::ClientConfig(_, reason, ..)) => Some(reason.trim_end().to_owned()),
        Err(error) => Some(error.to_string()),
    }
}

fn is_secret_property(name: &str) -> bool {
    ["password", "passphrase", "secret"]
        .iter()
        .any(|word| name.contains(word))
        || name.ends_with("key.pem")
        || name == "sasl.oauthbearer.config"
}

/// Which key or promise a property would contradict.
fn owner_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "bootstrap.servers" | "metadata.broker.list" => "set kafka.brokers",
        "session.timeout.ms" | "heartbeat.interval.ms" => "set kafka.session_timeout",
        "group.id" => "set kafka.group_prefix",
        "group.instance.id" | "client.id" => "set relay.name",
        "enable.auto.commit" | "auto.commit.interval.ms" | "auto.commit.enable" => {
            "set kafka.commit_interval"
        }
        "auto.offset.reset" => "set a destination's start",
        "topic.blacklist" => "set a destination's sources",
        "group.protocol" | "group.protocol.type" | "group.remote.assignor" => {
            "groups use the classic protocol"
        }
        "partition.assignment.strategy" => "groups use cooperative-sticky",
        "enable.auto.offset.store"
        | "offset.store.method"
        | "offset.store.path"
        | "offset.store.sync.interval.ms" => {
            "offsets are committed only for what is logged or parked"
        }
        "isolation.level" => "records of aborted transactions are never delivered",
        "enable.partition.eof" => "only records are asked for",
        "allow.auto.create.topics" => "topics are created by those who publish",
        "topic.metadata.refresh.interval.ms" | "metadata.max.age.ms" => {
            "new topics are seen within 10 s"
        }
        "statistics.interval.ms" => "lag is counted every 5 s",
        "debug" | "log_level" | "log.queue" => "librdkafka says its warnings and errors",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::types::RDKafkaConfRes;

    use super::*;

    #[test]
    fn what_may_be_set_is_known_to_librdkafka_and_nobody_else_s() {
        assert!(OPEN.is_sorted(), "nobody finds anything here");
        for name in OPEN {
            assert_eq!(owner_of(name), None, "{name}");
            let set = ClientConfig::new().set(name, "?").create_native_config();
            let is_unknown = matches!(
                set,
                Err(KafkaError::ClientConfig(
                    RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN,
                    ..
                ))
            );
            assert!(!is_unknown, "{name}");
        }
    }
}
