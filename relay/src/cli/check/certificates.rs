//! Certificates whose time has run out, or soon will.

use std::time::Duration;

use relay_core::settings::Destination;
use relay_core::time::{Timestamp, saturating_add};
use x509_parser::parse_x509_certificate;

use super::report::Report;
use crate::cli::failure::Failure;

/// Long enough before its end to get another.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// Looks at the certificates that a destination's `tls` names.
pub fn check(
    destination: &Destination,
    now: Timestamp,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let tls = &destination.tls;
    let own = tls.identity.iter().filter_map(|it| it.chain.first());
    for (key, end) in [
        // Of several authorities one that still holds may be the one.
        (
            "tls.ca_file",
            tls.authorities.iter().filter_map(|it| end(it)).max(),
        ),
        ("tls.client_cert", own.filter_map(|it| end(it)).max()),
    ] {
        let Some(end) = end else { continue };
        if end <= now {
            report.fail(&destination.name, &format!("{key} expired at {end}"))?;
        } else if end <= saturating_add(now, SOON) {
            report.warn(&destination.name, &format!("{key} expires at {end}"))?;
        }
    }
    Ok(())
}

/// The last moment at which a certificate holds.
fn end(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate) = parse_x509_certificate(certificate).ok()?;
    let end = certificate.validity().not_after.timestamp();
    // Beyond the calendar: it holds for ever.
    Some(Timestamp::from_second(end).unwrap_or(Timestamp::MAX))
}
