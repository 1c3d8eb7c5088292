//! Who may be reached, and how a destination's server is known.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use relay_core::egress::{Egress, Refusal};
use relay_core::exchange::ErrorClass;
use relay_core::settings::{Destination, Tls};
use rustls::{ClientConfig, RootCertStore};

use super::failure::Failure;
use super::names::{Names, SystemNames};
use super::tls;

/// What dialling for one destination depends on.
#[derive(Debug, Clone)]
pub struct Reach {
    /// None for a server that a person named on the command line.
    pub egress: Option<Egress>,
    pub tls: Arc<ClientConfig>,
    pub names: Arc<dyn Names>,
}

/// Makes what each destination needs; what they share is read once.
#[derive(Debug)]
pub struct Reaches {
    system_roots: Arc<RootCertStore>,
    /// Of all destinations that say nothing about TLS: they share its sessions, too.
    shared: Arc<ClientConfig>,
}

impl Reaches {
    /// With the operating system's certificate authorities.
    ///
    /// # Errors
    ///
    /// When those cannot be read.
    pub fn read() -> io::Result<Self> {
        Ok(Self::with_roots(tls::system_roots()?))
    }

    /// With these certificate authorities for those destinations that name none.
    pub fn with_roots(roots: RootCertStore) -> Self {
        let system_roots = Arc::new(roots);
        Self {
            shared: tls::with_roots(system_roots.clone()),
            system_roots,
        }
    }

    /// A server that a person named.
    pub fn of_a_person(&self) -> Reach {
        Reach {
            egress: None,
            tls: self.shared.clone(),
            names: Arc::new(SystemNames),
        }
    }

    /// A destination.
    ///
    /// # Errors
    ///
    /// When its certificates cannot be used, which the configuration has found out before.
    pub fn of(&self, destination: &Destination) -> Result<Reach, rustls::Error> {
        let tls = if destination.tls == Tls::default() {
            self.shared.clone()
        } else {
            tls::configure(&destination.tls, self.system_roots.clone())?
        };
        Ok(Reach {
            egress: Some(destination.egress.clone()),
            tls,
            names: Arc::new(SystemNames),
        })
    }
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
