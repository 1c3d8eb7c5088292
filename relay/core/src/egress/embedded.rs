//! IPv6 addresses that stand for an IPv4 one: a translator, a tunnel or the kernel takes them there.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The IPv4 address inside, if the address is of a form that has one.
///
/// IPv4-compatible (RFC 4291 2.5.5.1), IPv4-mapped (2.5.5.2), IPv4-translated (RFC 2765), NAT64 (RFC 6052, and RFC 8215
/// where it ends in the address), 6to4 (RFC 3056), Teredo (RFC 4380), ISATAP (RFC 5214).
pub fn v4_of(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let last = Some(v4(address.segments()[6], address.segments()[7]));
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..]
        | [_, _, _, _, 0 | 0x200, 0x5efe, ..] => last,
        // A network's own translator may keep the address elsewhere, and end in zeros.
        [0x64, 0xff9b, 1, ..] => last.filter(|v4| !v4.is_unspecified()),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        // The client's address, each bit turned over.
        [0x2001, 0, _, _, _, _, high, low] => Some(v4(!high, !low)),
        _ => None,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low))
}
