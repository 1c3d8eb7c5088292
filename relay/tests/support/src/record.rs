//! Records as the gem publishes them.

use std::time::{SystemTime, UNIX_EPOCH};

use prost::Message;
use relay_core::proto;

/// A record under construction. Without further words: an update of version 1, committed now, no fields.
#[derive(Debug, Clone)]
pub struct Record(proto::Record);

impl Record {
    pub fn new(source: &str, model: &str, key: &str) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Self(proto::Record {
            source: source.into(),
            model: model.into(),
            key: key.into(),
            operation: proto::Operation::Update.into(),
            version: 1,
            committed_at: Some(proto::Timestamp {
                seconds: i64::try_from(now.as_secs()).unwrap(),
                nanos: i32::try_from(now.subsec_micros() * 1_000).unwrap(),
            }),
            mapping_fingerprint: 0x5f0c_9a1e_7b22_d410,
            ..proto::Record::default()
        })
    }

    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.0.version = version;
        self
    }

    #[must_use]
    pub fn operation(mut self, operation: proto::Operation) -> Self {
        self.0.operation = operation.into();
        self
    }

    /// Adds a text field.
    #[must_use]
    pub fn text(self, name: &str, text: &str) -> Self {
        self.field(name, proto::value::Kind::StringValue(text.into()))
    }

    /// Adds a number field.
    #[must_use]
    pub fn number(self, name: &str, number: i64) -> Self {
        self.field(name, proto::value::Kind::Int64Value(number))
    }

    /// Adds a text field whose value no log may show.
    #[must_use]
    pub fn sensitive(self, name: &str, text: &str) -> Self {
        let mut record = self.text(name, text);
        for field in record
            .0
            .fields
            .iter_mut()
            .filter(|field| field.name == name)
        {
            field.sensitive = true;
        }
        record
    }

    /// Adds a field; the fields stay sorted by name, as the wire wants them.
    #[must_use]
    pub fn field(mut self, name: &str, kind: proto::value::Kind) -> Self {
        self.0.fields.push(proto::Field {
            name: name.into(),
            value: Some(proto::Value { kind: Some(kind) }),
            ..proto::Field::default()
        });
        self.0
            .fields
            .sort_by(|one, other| one.name.as_bytes().cmp(other.name.as_bytes()));
        self
    }

    /// The message itself, for what this builder has no word for.
    pub fn message_mut(&mut self) -> &mut proto::Record {
        &mut self.0
    }

    pub fn key(&self) -> &str {
        &self.0.key
    }

    pub fn encode(&self) -> Vec<u8> {
        self.0.encode_to_vec()
    }
}
