//! Strings, byte strings and JSON text.

use magnus::{RString, Ruby, Symbol, Value, encoding::EncodingCapable, prelude::*};

use super::{Refusal, document, number};
use crate::{
    gvl,
    kind::Kind,
    wire::{bytes_tag, put_varint},
};

pub fn put_string(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    if let Some(string) = RString::from_value(value) {
        return put_text(ruby, out, number::STRING, string);
    }
    let symbol = Symbol::from_value(value)
        .ok_or_else(|| Refusal::wrong_class(value, Kind::String.noun()))?;
    let name = symbol.name().map_err(|_| Refusal::NotText)?;
    crate::wire::put_bytes(out, number::STRING, name.as_bytes());
    Ok(())
}

/// A String is JSON text already; anything else is written as JSON.
pub fn put_json(ruby: &Ruby, out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    match RString::from_value(value) {
        Some(string) => put_text(ruby, out, number::JSON, string),
        None => document::put(ruby, out, &Kind::Dynamic, None, value),
    }
}

pub fn put_bytes(out: &mut Vec<u8>, value: Value) -> Result<(), Refusal> {
    let string = RString::from_value(value)
        .ok_or_else(|| Refusal::wrong_class(value, Kind::Bytes.noun()))?;
    put_string_bytes(out, number::BYTES, string);
    Ok(())
}

fn put_text(ruby: &Ruby, out: &mut Vec<u8>, field: u8, string: RString) -> Result<(), Refusal> {
    let string = in_utf8(ruby, string)?;
    let start = put_string_bytes(out, field, string);
    if std::str::from_utf8(&out[start..]).is_err() {
        return Err(Refusal::NotText);
    }
    Ok(())
}

/// Appends a field that holds the string's bytes and says where they start.
fn put_string_bytes(out: &mut Vec<u8>, field: u8, string: RString) -> usize {
    out.push(bytes_tag(field));
    put_varint(out, string.len() as u64);
    let start = out.len();
    gvl::append(string, out);
    start
}

/// Appends the text of a Ruby string, as UTF-8.
pub fn append(ruby: &Ruby, out: &mut Vec<u8>, string: RString) -> Result<(), Refusal> {
    let start = out.len();
    gvl::append(in_utf8(ruby, string)?, out);
    if std::str::from_utf8(&out[start..]).is_err() {
        return Err(Refusal::NotText);
    }
    Ok(())
}

/// The string, converted where its encoding is neither UTF-8 nor a part of it. A binary string is taken as it is, and
/// refused later if it is not UTF-8: what comes from a socket is often text that nobody has labelled.
fn in_utf8(ruby: &Ruby, string: RString) -> Result<RString, Refusal> {
    let encoding = string.enc_get();
    if encoding == ruby.utf8_encindex()
        || encoding == ruby.usascii_encindex()
        || encoding == ruby.ascii8bit_encindex()
    {
        return Ok(string);
    }
    string
        .funcall("encode", (ruby.utf8_encoding(),))
        .map_err(|error| match Refusal::from_ruby(ruby, error) {
            Refusal::Unreadable(_) => Refusal::NotText,
            other => other,
        })
}
