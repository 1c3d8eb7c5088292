//! The records that are sent: some fields of a vehicle, half a kilobyte as JSON.

use relay_test_support::record::Record;

pub const SOURCE: &str = "monolith";
pub const MODEL: &str = "Vehicle";
pub const DESTINATION: &str = "billing";

pub const PARTITIONS: i32 = 8;

/// Requests in flight, the relay's default.
pub const CONCURRENCY: usize = 64;

/// The record of that version, under a key of its own: of records of one key that wait together, the relay sends the
/// newest alone.
pub fn record(version: u64) -> Record {
    let number = i64::try_from(version).expect("a version fits");
    Record::new(SOURCE, MODEL, &version.to_string())
        .version(version)
        .text("body_style", "estate, five doors")
        .text("color", "night blue")
        .text(
            "comment",
            "Handed over with two keys, winter tyres in the boot.",
        )
        .number("mileage_km", number)
        .number("owner_id", number % 1_000)
        .text("price", "10499.50")
        .text("registration", "KA-01-HH-1234")
        .text("vin", "WDB9066331S123456")
}
