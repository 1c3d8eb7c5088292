//! Names of things: destinations, streams, keys, versions, deliveries.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The first version that is too large: versions stay exact in every JSON parser and in a signed bigint.
pub const VERSION_END: u64 = 1 << 53;

/// A source's model on its way to one destination: what a topic carries, and what a ledger row belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stream {
    pub destination: Arc<str>,
    pub source: Arc<str>,
    pub model: Arc<str>,
}

impl Stream {
    /// Reads `<prefix><source>.<destination>.<model>`, `-` in the model standing for `::`.
    ///
    /// `None` when the topic is not one of this destination.
    pub fn of_topic(topic: &str, prefix: &str, destination: &str) -> Option<Self> {
        let mut parts = topic.strip_prefix(prefix)?.split('.');
        let (source, named, model) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() || named != destination || source.is_empty() || model.is_empty() {
            return None;
        }
        Some(Self {
            destination: destination.into(),
            source: source.into(),
            model: model.replace('-', "::").into(),
        })
    }

    /// The topic of this stream.
    pub fn topic(&self, prefix: &str) -> String {
        format!(
            "{prefix}{}.{}.{}",
            self.source,
            self.destination,
            self.model.replace("::", "-")
        )
    }
}

/// The first 16 bytes of SHA-256 over `destination LF source LF model LF key`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyHash(pub [u8; 16]);

impl KeyHash {
    /// The hash of a key in a stream.
    pub fn of_key(stream: &Stream, key: &str) -> Self {
        Self::digest([&stream.destination, &stream.source, &stream.model, key])
    }

    /// The hash that stands for a record whose key cannot be read: `destination LF topic LF partition LF offset`.
    pub fn of_coordinates(destination: &str, coordinates: &Coordinates) -> Self {
        Self::digest([
            destination,
            &coordinates.topic,
            &coordinates.partition.to_string(),
            &coordinates.offset.to_string(),
        ])
    }

    fn digest(parts: [&str; 4]) -> Self {
        let mut sha = Sha256::new();
        for (position, part) in parts.into_iter().enumerate() {
            if position > 0 {
                sha.update(b"\n");
            }
            sha.update(part.as_bytes());
        }
        let digest = sha.finalize();
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first 16 bytes of SHA-256 over a record's fields that are not volatile, as they stand on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 16]);

/// A delivery: one record on its way to one destination. Derived, hence stable over retries, restarts and replays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId {
    pub key_hash: KeyHash,
    pub version: u64,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dlv_{}_{}", self.key_hash, self.version)
    }
}

/// A text that is not a delivery id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a delivery id: dlv_<32 hex digits>_<version>")]
pub struct NotADeliveryId(pub String);

impl FromStr for DeliveryId {
    type Err = NotADeliveryId;

    fn from_str(text: &str) -> Result<Self, NotADeliveryId> {
        parse_delivery_id(text).ok_or_else(|| NotADeliveryId(text.to_owned()))
    }
}

fn parse_delivery_id(text: &str) -> Option<DeliveryId> {
    let (hex, version) = text.strip_prefix("dlv_")?.split_once('_')?;
    let is_lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if hex.len() != 32
        || !hex.bytes().all(is_lower_hex)
        || !version.bytes().all(|b| b.is_ascii_digit())
    {
        return None;
    }
    let mut hash = [0; 16];
    for (position, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&hex[position * 2..position * 2 + 2], 16).ok()?;
    }
    Some(DeliveryId {
        key_hash: KeyHash(hash),
        version: version.parse().ok()?,
    })
}

/// A topic and one of its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Partition {
    pub topic: Arc<str>,
    pub number: i32,
}

/// Where in Kafka a record was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Coordinates {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
}

/// What a record says happened to its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    Create,
    Update,
    Delete,
    Snapshot,
}

impl Operation {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Snapshot => "snapshot",
        }
    }

    /// The operation of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Create, Self::Update, Self::Delete, Self::Snapshot]
            .into_iter()
            .find(|operation| operation.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vehicles() -> Stream {
        Stream::of_topic(
            "replicates_to.monolith.billing.Vehicle",
            "replicates_to.",
            "billing",
        )
        .unwrap()
    }

    #[test]
    fn a_delivery_id_is_derived_from_the_key_and_the_version() {
        let id = DeliveryId {
            key_hash: KeyHash::of_key(&vehicles(), "42"),
            version: 918_273,
        };
        assert_eq!(
            id.to_string(),
            "dlv_efa644ab8997bd28db3dd3a5d03bc386_918273"
        );
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn what_is_not_a_delivery_id_is_refused_with_its_text() {
        for text in [
            "",
            "dlv_",
            "dlv_efa6_1",
            "dlv_EFA644AB8997BD28DB3DD3A5D03BC386_1",
            "dlv_efa644ab8997bd28db3dd3a5d03bc386_x",
        ] {
            assert_eq!(text.parse::<DeliveryId>(), Err(NotADeliveryId(text.into())));
        }
    }

    #[test]
    fn a_topic_names_its_stream_and_back() {
        let topic = "replicates_to.monolith.billing.Fleet-Car";
        let stream = Stream::of_topic(topic, "replicates_to.", "billing").unwrap();
        assert_eq!(&*stream.model, "Fleet::Car");
        assert_eq!(stream.topic("replicates_to."), topic);
    }

    #[test]
    fn a_topic_of_another_destination_is_not_ours() {
        for topic in [
            "replicates_to.monolith.search.Vehicle",
            "other.monolith.billing.Vehicle",
            "replicates_to.a.billing.B.c",
            "replicates_to..billing.B",
        ] {
            assert_eq!(Stream::of_topic(topic, "replicates_to.", "billing"), None);
        }
    }
}
