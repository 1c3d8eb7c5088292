use super::*;

fn networks(texts: &[&str]) -> Vec<Network> {
    let parse = |text: &&str| Network::parse(text).unwrap_or_else(|| panic!("{text}"));
    texts.iter().map(parse).collect()
}

fn egress(allow: &[&str], deny: &[&str]) -> Egress {
    Egress {
        allow: networks(allow),
        deny: networks(deny),
        loopback: Loopback::IfListed,
    }
}

fn refusal(egress: &Egress, address: &str) -> Option<String> {
    let verdict = egress.check(address.parse().unwrap());
    verdict.err().map(|refusal| refusal.to_string())
}

/// Every way to write an IPv4 address as an IPv6 one.
fn in_ipv6(address: &str) -> Vec<String> {
    let v4: std::net::Ipv4Addr = address.parse().unwrap();
    let [a, b, c, d] = v4.octets();
    let turned = std::net::Ipv4Addr::from_bits(!v4.to_bits());
    vec![
        format!("::{v4}"),
        format!("::ffff:{v4}"),
        format!("::ffff:0:{v4}"),
        format!("64:ff9b::{v4}"),
        format!("64:ff9b:1::{v4}"),
        format!("2002:{a:02x}{b:02x}:{c:02x}{d:02x}::1"),
        format!("2001:0:4136:e378:8000:63bf:{turned}"),
        format!("2001:db8::5efe:{v4}"),
        format!("2001:db8::200:5efe:{v4}"),
    ]
}

#[test]
fn addresses_of_no_destination_are_refused_whatever_is_allowed() {
    let everything = Egress {
        allow: networks(&["0.0.0.0/0", "::/0"]),
        deny: Vec::new(),
        loopback: Loopback::Always,
    };
    for (address, kind) in [
        ("169.254.169.254", "a metadata service"),
        ("100.100.100.200", "a metadata service"),
        ("192.0.0.192", "a metadata service"),
        ("168.63.129.16", "a metadata service"),
        ("fd00:ec2::254", "a metadata service"),
        ("fd20:ce::254", "a metadata service"),
        ("169.254.0.1", "link-local"),
        ("169.254.255.255", "link-local"),
        ("fe80::1", "link-local"),
        ("febf::1", "link-local"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("::", "unspecified"),
        ("255.255.255.255", "broadcast"),
    ] {
        let expected = Some(format!("{kind}, never a destination"));
        for egress in [&everything, &Egress::default()] {
            assert_eq!(refusal(egress, address), expected, "{address}");
        }
    }
    for address in [
        "169.253.255.255",
        "169.255.0.0",
        "fec0::1",
        "223.255.255.255",
        "1.0.0.0",
    ] {
        assert_eq!(refusal(&everything, address), None, "{address}");
    }
}

#[test]
fn an_ipv6_address_is_judged_as_the_ipv4_address_in_it_as_well() {
    for (address, reason) in [
        ("169.254.169.254", "a metadata service, never a destination"),
        ("127.0.0.1", "loopback, which egress.allow does not list"),
        ("10.1.2.3", "egress.deny has 10.0.0.0/8"),
        ("255.255.255.255", "broadcast, never a destination"),
    ] {
        let egress = egress(&[], &["10.0.0.0/8"]);
        for form in in_ipv6(address) {
            assert_eq!(refusal(&egress, &form).as_deref(), Some(reason), "{form}");
        }
    }
    for form in in_ipv6("192.0.2.1") {
        assert_eq!(refusal(&Egress::default(), &form), None, "{form}");
        assert_eq!(
            refusal(&egress(&["192.0.2.0/24"], &[]), &form),
            None,
            "{form}"
        );
        let others = refusal(&egress(&["192.0.3.0/24"], &[]), &form);
        assert_eq!(others.as_deref(), Some("not in egress.allow"), "{form}");
    }
}

#[test]
fn loopback_is_reached_only_where_it_is_listed() {
    let reason = Some("loopback, which egress.allow does not list".to_owned());
    let listed = egress(&["127.0.0.0/8", "::1/128"], &[]);
    for address in ["127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(refusal(&Egress::default(), address), reason, "{address}");
        assert_eq!(
            refusal(&egress(&["10.0.0.0/8"], &[]), address),
            reason,
            "{address}"
        );
        assert_eq!(refusal(&listed, address), None, "{address}");
    }
    assert_eq!(refusal(&egress(&["127.0.0.0/8"], &[]), "::1"), reason);
}

#[test]
fn a_laptop_reaches_itself_besides_what_is_listed() {
    for allow in [&[][..], &["10.0.0.0/8"]] {
        let laptop = Egress {
            loopback: Loopback::Always,
            ..egress(allow, &["127.0.0.9/32"])
        };
        assert_eq!(refusal(&laptop, "127.0.0.1"), None);
        assert_eq!(refusal(&laptop, "::1"), None);
        assert_eq!(refusal(&laptop, "10.1.2.3"), None);
        assert!(refusal(&laptop, "127.0.0.9").is_some(), "deny beats it");
    }
}

#[test]
fn without_a_list_every_other_address_is_reached() {
    for address in [
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "93.184.216.34",
        "2606:2800:220:1::1",
        "fd12:3456::1",
    ] {
        assert_eq!(refusal(&Egress::default(), address), None, "{address}");
    }
}

#[test]
fn a_list_admits_nothing_else_and_deny_beats_it() {
    let egress = egress(
        &["10.20.0.0/16", "2001:db8::/32"],
        &["10.20.9.0/24", "2001:db8:9::/48"],
    );
    for address in [
        "10.20.0.0",
        "10.20.255.255",
        "2001:db8::1",
        "2001:db8:ffff::1",
    ] {
        assert_eq!(refusal(&egress, address), None, "{address}");
    }
    for address in ["10.19.255.255", "10.21.0.0", "2001:db9::1"] {
        let reason = refusal(&egress, address);
        assert_eq!(reason.as_deref(), Some("not in egress.allow"), "{address}");
    }
    let reason = refusal(&egress, "10.20.9.255");
    assert_eq!(reason.as_deref(), Some("egress.deny has 10.20.9.0/24"));
    let reason = refusal(&egress, "2001:db8:9::1");
    assert_eq!(reason.as_deref(), Some("egress.deny has 2001:db8:9::/48"));
}

#[test]
fn a_network_is_an_address_and_a_prefix_without_further_bits() {
    for text in [
        "0.0.0.0/0",
        "10.20.0.0/16",
        "10.1.2.3/32",
        "::/0",
        "2001:db8::/32",
        "::1/128",
    ] {
        assert_eq!(networks(&[text])[0].to_string(), text);
    }
    assert_eq!(
        networks(&["::ffff:10.20.0.0/112"])[0].to_string(),
        "10.20.0.0/16"
    );
    for text in [
        "",
        "10.20.0.0",
        "10.20.0.0/",
        "10.20.0.0/33",
        "10.20.1.0/16",
        "10.20/16",
        "::1/129",
        "2001:db8::1/32",
        "10.20.0.0/+16",
        "10.20.0.0/-1",
        "localhost/8",
        "10.20.0.0/16 ",
        "0.0.0.1/0",
    ] {
        assert_eq!(Network::parse(text), None, "{text}");
    }
}
