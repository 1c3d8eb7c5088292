//! Which addresses a destination may be reached at.
//!
//! Asked about every address that is about to be dialled, after the name was looked up: a name that leads elsewhere by
//! the time it is dialled (DNS rebinding) changes nothing. An IPv6 address that carries an IPv4 one is judged as both.
//!
//! - `network`: what `allow` and `deny` list
//! - `embedded`: the IPv4 address that an IPv6 address stands for
//! - `never`: addresses that are no destination, whatever the configuration says

mod embedded;
mod network;
mod never;

use std::fmt;
use std::net::IpAddr;

pub use network::Network;

/// What a destination's configuration says about addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// When there are any, nothing else is reached.
    pub allow: Vec<Network>,
    /// Beats `allow`.
    pub deny: Vec<Network>,
    pub loopback: Loopback,
}

/// Whether this machine is a destination.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Loopback {
    /// Only where `allow` lists it.
    #[default]
    IfListed,
    /// Also where `allow` does not: for a relay on a laptop.
    Always,
}

/// Why an address is not reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Of a kind that no configuration opens.
    Never(&'static str),
    /// Listed in `deny`.
    Denied(Network),
    /// This machine, which `allow` does not list.
    Loopback,
    /// `allow` lists others.
    NotListed,
}

impl Egress {
    /// Says whether an address may be dialled.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, address: IpAddr) -> Result<(), Refusal> {
        let address = address.to_canonical();
        let embedded = match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(v6) => embedded::v4_of(v6).map(IpAddr::V4),
        };
        let faces = || [Some(address), embedded].into_iter().flatten();
        for face in faces() {
            if let Some(kind) = never::kind(face) {
                return Err(Refusal::Never(kind));
            }
            if let Some(network) = self.deny.iter().find(|network| network.contains(face)) {
                return Err(Refusal::Denied(*network));
            }
        }
        if let Some(loopback) = faces().find(IpAddr::is_loopback) {
            return match self.loopback {
                Loopback::Always => Ok(()),
                Loopback::IfListed if self.lists(loopback) => Ok(()),
                Loopback::IfListed => Err(Refusal::Loopback),
            };
        }
        if self.allow.is_empty() || faces().any(|face| self.lists(face)) {
            return Ok(());
        }
        Err(Refusal::NotListed)
    }

    fn lists(&self, address: IpAddr) -> bool {
        self.allow.iter().any(|network| network.contains(address))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never(kind) => write!(f, "{kind}, never a destination"),
            Self::Denied(network) => write!(f, "egress.deny has {network}"),
            Self::Loopback => f.write_str("loopback, which egress.allow does not list"),
            Self::NotListed => f.write_str("not in egress.allow"),
        }
    }
}

#[cfg(test)]
mod tests;
