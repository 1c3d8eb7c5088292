//! The native extension of the gem: encodes records straight from Ruby values and hands them to librdkafka.
//!
//! A publish goes through the rooms in this order: [`producer`] takes the call, [`schema`] and [`record`] write the
//! bytes, [`value`] writes each value, [`librdkafka`] puts them into its queue; [`reports`] holds what came back.

mod classes;
mod decimal;
mod failure;
#[cfg(test)]
mod golden;
mod gvl;
mod json;
mod kind;
mod librdkafka;
mod murmur2;
mod producer;
#[cfg(test)]
#[expect(clippy::enum_variant_names, reason = "generated")]
mod proto;
mod record;
mod reports;
mod schema;
mod value;
mod wire;

use magnus::{Module, Object, RString, Ruby, function};

#[magnus::init]
fn init(ruby: &Ruby) -> Result<(), magnus::Error> {
    let native = ruby
        .define_module("ReplicatesTo")?
        .define_module("Native")?;
    native.define_singleton_method("librdkafka_version", function!(librdkafka::version, 0))?;
    native.define_singleton_method("murmur2", function!(murmur2_of, 1))?;
    schema::define(ruby, native)?;
    producer::define(ruby, native)
}

fn murmur2_of(key: RString) -> u32 {
    murmur2::murmur2(&gvl::bytes(key))
}
