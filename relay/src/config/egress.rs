//! `egress`: which addresses a destination may be reached at.

use relay_core::egress::{Egress, Loopback, Network};

use super::section::Section;

pub(super) fn read(section: &Section<'_>) -> Option<Egress> {
    let allow = read_networks(section, "allow");
    let deny = read_networks(section, "deny");
    section.refuse_unknown_keys();
    Some(Egress {
        allow: allow?,
        deny: deny?,
        loopback: Loopback::IfListed,
    })
}

fn read_networks(section: &Section<'_>, key: &'static str) -> Option<Vec<Network>> {
    let allowed = "a network, like \"10.20.0.0/16\" \"192.0.2.7/32\" \"2001:db8::/32\"";
    let texts = section.texts(key, allowed, |text| Network::parse(text).is_some())?;
    texts.iter().map(|text| Network::parse(text)).collect()
}
