//! Who may be reached, and how a destination's server is known.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use relay_core::egress::{Egress, Refusal};
use relay_core::exchange::ErrorClass;
use rustls::ClientConfig;

use super::failure::Failure;

/// What dialling for one destination depends on.
#[derive(Debug, Clone)]
pub struct Reach {
    /// None for a server that a person named on the command line.
    pub egress: Option<Egress>,
    pub tls: Arc<ClientConfig>,
}

impl Reach {
    /// Those of a host's addresses that may be dialled.
    ///
    /// # Errors
    ///
    /// When there are none: why the first of them may not.
    pub fn admit(
        &self,
        host: &str,
        addresses: Vec<SocketAddr>,
    ) -> Result<Vec<SocketAddr>, Failure> {
        let Some(egress) = &self.egress else {
            return Ok(addresses);
        };
        let mut refused = None;
        let mut admitted = addresses;
        admitted.retain(|address| match egress.check(address.ip()) {
            Ok(()) => true,
            Err(refusal) => {
                refused.get_or_insert_with(|| describe(host, address.ip(), refusal));
                false
            }
        });
        match refused {
            Some(error) if admitted.is_empty() => {
                Err(Failure::new(ErrorClass::EgressDenied, error))
            }
            _ => Ok(admitted),
        }
    }
}

fn describe(host: &str, address: IpAddr, refusal: Refusal) -> String {
    let address = address.to_string();
    if host == address {
        return format!("{address}: {refusal}");
    }
    format!("{host} is {address}: {refusal}")
}
