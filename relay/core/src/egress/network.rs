//! A network, written as CIDR.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `10.20.0.0/16`, `2001:db8::/32`. No bit is set beyond the prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix: u32,
}

impl Network {
    /// Reads a network. None for an address without a prefix, and for one with bits beyond it: whoever wrote
    /// `10.20.1.0/16` meant one of two things.
    pub fn parse(text: &str) -> Option<Self> {
        let (first, prefix) = text.split_once('/')?;
        let is_decimal = prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u32 = prefix.parse().ok().filter(|_| is_decimal)?;
        let network = Self {
            first: first.parse().ok()?,
            prefix,
        };
        let has_bits_beyond = match network.first {
            IpAddr::V4(v4) => v4.to_bits() & !mask_v4(prefix)? != 0,
            IpAddr::V6(v6) => v6.to_bits() & !mask_v6(prefix)? != 0,
        };
        (!has_bits_beyond).then(|| network.canonical())
    }

    /// The network that mapped IPv6 addresses mean, since those are judged as IPv4.
    fn canonical(self) -> Self {
        match (self.first.to_canonical(), self.prefix.checked_sub(96)) {
            (first @ IpAddr::V4(_), Some(prefix)) if self.first.is_ipv6() => Self { first, prefix },
            _ => self,
        }
    }

    /// Whether an address is one of its. An IPv6 network has no IPv4 addresses.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => self.contains_v4(first, address),
            (IpAddr::V6(first), IpAddr::V6(address)) => self.contains_v6(first, address),
            _ => false,
        }
    }

    fn contains_v4(&self, first: Ipv4Addr, address: Ipv4Addr) -> bool {
        mask_v4(self.prefix).is_some_and(|mask| address.to_bits() & mask == first.to_bits())
    }

    fn contains_v6(&self, first: Ipv6Addr, address: Ipv6Addr) -> bool {
        mask_v6(self.prefix).is_some_and(|mask| address.to_bits() & mask == first.to_bits())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

fn mask_v4(prefix: u32) -> Option<u32> {
    let beyond = 32_u32.checked_sub(prefix)?;
    Some(u32::MAX.checked_shl(beyond).unwrap_or(0))
}

fn mask_v6(prefix: u32) -> Option<u128> {
    let beyond = 128_u32.checked_sub(prefix)?;
    Some(u128::MAX.checked_shl(beyond).unwrap_or(0))
}
