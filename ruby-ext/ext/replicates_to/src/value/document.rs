//! What a list cannot hold, as JSON text: Hashes, arrays in arrays. Whatever stands in it is written as the relay writes a
//! value of its kind, so that a time or a decimal reads the same inside a Hash and outside.

use magnus::{RArray, RClass, RHash, RString, Ruby, Symbol, Value, prelude::*, r_hash::ForEach};

use super::{Refusal, dynamic, number, text};
use crate::{json, kind::Kind, wire::put_bytes};

/// Deepest nesting: that of Ruby's own JSON parser, with which many consumers will read it. Also the end of what holds
/// itself.
const DEPTH_MAX: usize = 100;

/// Appends the value as a `json_value`. `kind` and `scale` are those of its innermost elements.
pub fn put(
    ruby: &Ruby,
    out: &mut Vec<u8>,
    kind: &Kind,
    scale: Option<usize>,
    value: Value,
) -> Result<(), Refusal> {
    let mut writer = Writer {
        ruby,
        kind,
        scale,
        json: Vec::new(),
        scalar: Vec::new(),
    };
    writer.append(value, DEPTH_MAX)?;
    put_bytes(out, number::JSON, &writer.json);
    Ok(())
}

struct Writer<'a> {
    ruby: &'a Ruby,
    kind: &'a Kind,
    scale: Option<usize>,
    json: Vec<u8>,
    /// Room for a value's bytes, of which its JSON is made.
    scalar: Vec<u8>,
}

impl Writer<'_> {
    fn append(&mut self, value: Value, levels_left: usize) -> Result<(), Refusal> {
        if let Some(list) = RArray::from_value(value) {
            self.append_list(list, below(levels_left)?)
        } else if *self.kind != Kind::Dynamic || dynamic::is_scalar(self.ruby, value) {
            self.append_scalar(value)
        } else if let Some(hash) = RHash::from_value(value) {
            self.append_hash(hash, below(levels_left)?)
        } else {
            let plain = self.as_json(value)?;
            self.append(plain, below(levels_left)?)
        }
    }

    fn append_scalar(&mut self, value: Value) -> Result<(), Refusal> {
        self.scalar.clear();
        super::put(self.ruby, &mut self.scalar, self.kind, self.scale, value)?;
        json::put_value(&mut self.json, &self.scalar);
        Ok(())
    }

    fn append_list(&mut self, list: RArray, levels_left: usize) -> Result<(), Refusal> {
        self.json.push(b'[');
        // Asked anew each time: reading an element may run Ruby code, which may change the list.
        let mut at = 0;
        while at < list.len() {
            if at > 0 {
                self.json.push(b',');
            }
            let element: Value = list
                .entry(at.cast_signed())
                .map_err(|error| Refusal::from_ruby(self.ruby, error))?;
            self.append(element, levels_left)?;
            at += 1;
        }
        self.json.push(b']');
        Ok(())
    }

    fn append_hash(&mut self, hash: RHash, levels_left: usize) -> Result<(), Refusal> {
        // Ruby code that runs while an element is read may change the Hash, but not this list of keys and values.
        let pairs = self.ruby.ary_new();
        hash.foreach(|key: Value, value: Value| {
            pairs.push(key)?;
            pairs.push(value)?;
            Ok(ForEach::Continue)
        })
        .map_err(|error| Refusal::from_ruby(self.ruby, error))?;
        self.json.push(b'{');
        for (at, element) in pairs.into_iter().enumerate() {
            if at % 2 == 1 {
                self.json.push(b':');
                self.append(element, levels_left)?;
                continue;
            }
            if at > 0 {
                self.json.push(b',');
            }
            self.append_name(element)?;
        }
        self.json.push(b'}');
        Ok(())
    }

    fn append_name(&mut self, key: Value) -> Result<(), Refusal> {
        let name = if let Some(string) = RString::from_value(key) {
            string
        } else if let Some(symbol) = Symbol::from_value(key) {
            let name = symbol.name().map_err(|_| Refusal::NotText)?;
            json::put_string(&mut self.json, name.as_bytes());
            return Ok(());
        } else {
            key.funcall("to_s", ())
                .map_err(|error| Refusal::from_ruby(self.ruby, error))?
        };
        self.scalar.clear();
        text::append(self.ruby, &mut self.scalar, name)?;
        json::put_string(&mut self.json, &self.scalar);
        Ok(())
    }

    /// What a class says of its own JSON. What `ActiveSupport` says of any object, all its instance variables, is not
    /// meant for others.
    fn as_json(&self, value: Value) -> Result<Value, Refusal> {
        let refused = |error| Refusal::from_ruby(self.ruby, error);
        let knows: bool = value
            .funcall("respond_to?", ("as_json",))
            .map_err(refused)?;
        if knows {
            let method: Value = value.funcall("method", ("as_json",)).map_err(refused)?;
            let owner: Value = method.funcall("owner", ()).map_err(refused)?;
            let is_any_objects = RClass::from_value(owner)
                .is_some_and(|owner| owner.equal(self.ruby.class_object()).unwrap_or(false));
            if !is_any_objects {
                return value.funcall("as_json", ()).map_err(refused);
            }
        }
        Err(Refusal::wrong_class(value, Kind::Dynamic.noun()))
    }
}

fn below(levels_left: usize) -> Result<usize, Refusal> {
    levels_left
        .checked_sub(1)
        .ok_or(Refusal::TooDeep(DEPTH_MAX))
}
