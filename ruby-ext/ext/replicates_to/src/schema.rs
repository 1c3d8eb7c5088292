//! `ReplicatesTo::Native::Schema`: what all records of one model and destination have in common, ready to be written.

use std::cell::Cell;

use magnus::{
    Integer, Module, Object, RArray, RModule, RString, Ruby, Value, function, method, prelude::*,
};

use crate::{
    failure::{Failure, guarded},
    kind::Kind,
    record::{self, Envelope},
    value::{self, Refusal},
    wire::{bytes_tag, put_bytes, put_varint, varint_len, varint_tag},
};

/// A buffer that grew above this is given back after use: one large record must not cost memory for ever.
const BUFFER_KEPT_MAX: usize = 256 * 1024;

/// The Ruby class. Threads share it under Ruby's lock.
#[magnus::wrap(class = "ReplicatesTo::Native::Schema", free_immediately, size)]
pub struct Schema {
    /// `source` and `model`.
    head: Vec<u8>,
    fingerprint: u64,
    fields: Vec<Field>,
    /// Taken while a record is encoded: should another thread come in then, it starts with an empty one.
    buffers: Cell<Buffers>,
}

struct Field {
    name: String,
    kind: Kind,
    scale: Option<usize>,
    is_sensitive: bool,
    /// The `name` of the message `Field`.
    head: Vec<u8>,
    /// Its `sensitive` and `volatile`.
    tail: Vec<u8>,
}

#[derive(Default)]
struct Buffers {
    record: Vec<u8>,
    value: Vec<u8>,
}

/// Defines the class.
pub fn define(ruby: &Ruby, native: RModule) -> Result<(), magnus::Error> {
    let class = native.define_class("Schema", ruby.class_object())?;
    class.define_singleton_method("new", function!(Schema::new, 4))?;
    class.define_method("names", method!(Schema::names, 0))?;
    class.define_method("encode", method!(Schema::encode, 8))
}

impl Schema {
    fn new(
        ruby: &Ruby,
        source: RString,
        model: RString,
        fingerprint: Integer,
        fields: RArray,
    ) -> Result<Self, magnus::Error> {
        guarded(ruby, || {
            let mut head = Vec::new();
            put_bytes(&mut head, 1, source.to_string()?.as_bytes());
            put_bytes(&mut head, 2, model.to_string()?.as_bytes());
            let mut fields = fields
                .into_iter()
                .map(Field::from_ruby)
                .collect::<Result<Vec<_>, _>>()?;
            fields.sort_by(|one, other| one.name.as_bytes().cmp(other.name.as_bytes()));
            if let Some(pair) = fields.windows(2).find(|pair| pair[0].name == pair[1].name) {
                return Err(Failure::Misuse(format!(
                    "two fields are named {}",
                    pair[0].name
                )));
            }
            Ok(Self {
                head,
                fingerprint: fingerprint.to_u64()?,
                fields,
                buffers: Cell::default(),
            })
        })
    }

    fn names(ruby: &Ruby, schema: &Self) -> RArray {
        ruby.ary_from_iter(schema.fields.iter().map(|field| field.name.as_str()))
    }

    #[expect(clippy::too_many_arguments, reason = "the method as Ruby sees it")]
    fn encode(
        ruby: &Ruby,
        schema: &Self,
        key: RString,
        operation: Value,
        version: Value,
        seconds: Value,
        nanoseconds: Value,
        run_id: Option<RString>,
        origin: Option<RString>,
        values: Option<RArray>,
    ) -> Result<RString, magnus::Error> {
        guarded(ruby, || {
            let envelope =
                Envelope::from_ruby(operation, version, seconds, nanoseconds, run_id, origin)?;
            schema.with_record(ruby, key, &envelope, values, usize::MAX, |_, record| {
                Ok(ruby.str_from_slice(record))
            })
        })
    }

    /// Encodes a record of at most `bytes_max` bytes and passes its key and its bytes on.
    pub fn with_record<T>(
        &self,
        ruby: &Ruby,
        key: RString,
        envelope: &Envelope,
        values: Option<RArray>,
        bytes_max: usize,
        then: impl FnOnce(&[u8], &[u8]) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut buffers = self.buffers.take();
        buffers.record.clear();
        let answer = self
            .put_record(ruby, &mut buffers, key, envelope, values, bytes_max)
            .and_then(|key| then(&buffers.record[key], &buffers.record));
        buffers.record.shrink_to(BUFFER_KEPT_MAX);
        buffers.value.clear();
        buffers.value.shrink_to(BUFFER_KEPT_MAX);
        self.buffers.set(buffers);
        answer
    }

    /// Appends the record and says where in it the key stands.
    fn put_record(
        &self,
        ruby: &Ruby,
        buffers: &mut Buffers,
        key: RString,
        envelope: &Envelope,
        values: Option<RArray>,
        bytes_max: usize,
    ) -> Result<std::ops::Range<usize>, Failure> {
        let Buffers { record, value } = buffers;
        record.extend_from_slice(&self.head);
        let key = record::put_key(ruby, record, key)?;
        envelope.put_before_fields(ruby, record, self.fingerprint)?;
        if let Some(values) = values {
            if values.len() != self.fields.len() {
                return Err(Failure::Misuse(format!(
                    "{} values for {} fields",
                    values.len(),
                    self.fields.len()
                )));
            }
            for (at, field) in self.fields.iter().enumerate() {
                field.put(ruby, record, value, values.entry(at.cast_signed())?)?;
                if record.len() > bytes_max {
                    return Err(Failure::TooLarge(bytes_max));
                }
            }
        }
        envelope.put_after_fields(ruby, record)?;
        if record.len() > bytes_max {
            Err(Failure::TooLarge(bytes_max))
        } else {
            Ok(key)
        }
    }
}

impl Field {
    /// Reads `[name, kind, scale, sensitive, volatile]`.
    fn from_ruby(definition: Value) -> Result<Self, Failure> {
        let wrong = || {
            Failure::Misuse(format!(
                "{} is not [name, kind, scale, sensitive, volatile]",
                definition.inspect()
            ))
        };
        let parts = RArray::from_value(definition)
            .filter(|parts| parts.len() == 5)
            .ok_or_else(wrong)?;
        let name: String = parts.entry(0)?;
        let mut head = Vec::new();
        put_bytes(&mut head, 1, name.as_bytes());
        let mut tail = Vec::new();
        let is_sensitive: bool = parts.entry(3)?;
        let is_volatile: bool = parts.entry(4)?;
        for (field, is_set) in [(3, is_sensitive), (4, is_volatile)] {
            if is_set {
                tail.extend([varint_tag(field), 1]);
            }
        }
        Ok(Self {
            kind: Kind::from_ruby(parts.entry(1)?)?,
            scale: parts.entry(2)?,
            name,
            is_sensitive,
            head,
            tail,
        })
    }

    /// Appends the field with its value; `content` is room to write the value in before its length is known.
    fn put(
        &self,
        ruby: &Ruby,
        record: &mut Vec<u8>,
        content: &mut Vec<u8>,
        value: Value,
    ) -> Result<(), Failure> {
        content.clear();
        value::put(ruby, content, &self.kind, self.scale, value)
            .map_err(|refusal| self.refused(refusal))?;
        let value_len = 1 + varint_len(content.len() as u64) + content.len();
        record.push(bytes_tag(9));
        put_varint(
            record,
            (self.head.len() + value_len + self.tail.len()) as u64,
        );
        record.extend_from_slice(&self.head);
        put_bytes(record, 2, content);
        record.extend_from_slice(&self.tail);
        Ok(())
    }

    fn refused(&self, refusal: Refusal) -> Failure {
        let refusal = if self.is_sensitive {
            refusal.masked()
        } else {
            refusal
        };
        Failure::refused(&self.name, refusal)
    }
}
