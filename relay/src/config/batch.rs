//! `batch`: how many records share a request.

use std::time::Duration;

use relay_core::request::{Body, Url};
use relay_core::settings::Batching;

use super::section::Section;

const WAITS: std::ops::RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(10);

/// Reads the keys of `batch` for a route with this body and URL.
pub(super) fn read(
    route: &Section<'_>,
    body: Option<&Body>,
    url: Option<&Url>,
) -> Option<Batching> {
    let section = route.section("batch");
    let records_max = section.integer("max_records", 1..=1_000);
    let wait_max = section.duration("max_wait", WAITS);
    let bytes_max = section.size("max_bytes", 1 << 10..=64 << 20);
    section.refuse_unknown_keys();
    let (records_max, wait_max, bytes_max) = (records_max?, wait_max?, bytes_max?);
    if records_max > 1 {
        let node = section.required("max_records")?;
        if matches!(body, Some(Body::Attributes)) {
            let envelope = route.path_below(&["envelope"]).join(".");
            return section.refuse(
                node,
                &format!("1 where {envelope} is \"attributes\", which do not say whose they are"),
            );
        }
        if url.is_some_and(Url::is_of_one_record) {
            let url = route.path_below(&["url"]).join(".");
            return section.refuse(
                node,
                &format!("1 where {url} has {{key}} or {{version}}, which are those of one record"),
            );
        }
    }
    Some(Batching {
        records_max: records_max as usize,
        wait_max,
        bytes_max: usize::try_from(bytes_max).unwrap_or(usize::MAX),
    })
}
