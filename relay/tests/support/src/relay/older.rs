//! A configuration for a build that does not know all of its keys yet.

use std::collections::HashSet;

use toml::{Table, Value};

/// `configuration` without the keys that are not in `defaults`, the text which that build prints as its reference.
/// Destinations stay as they are: what they say is what a test or benchmark is about.
pub fn without_unknown_keys(configuration: &str, defaults: &str) -> String {
    let known = keys(defaults);
    let mut table: Table = configuration.parse().expect("a configuration is TOML");
    let destinations = table.remove("destinations");
    retain_known(&mut table, "", &known);
    table.extend(destinations.map(|value| ("destinations".to_owned(), value)));
    table.to_string()
}

fn retain_known(table: &mut Table, path: &str, known: &HashSet<String>) {
    table.retain(|key, value| {
        let path = format!("{path}{key}");
        if known.contains(&path) {
            return true;
        }
        let Value::Table(inner) = value else {
            return false;
        };
        retain_known(inner, &format!("{path}."), known);
        !inner.is_empty()
    });
}

/// The paths of all keys, `kafka.brokers`; those without a default stand in comments.
fn keys(defaults: &str) -> HashSet<String> {
    let mut section = String::new();
    let mut keys = HashSet::new();
    for line in defaults.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.split(']').next())
        {
            section = format!("{name}.");
        }
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some((key, _)) = line.split_once(" = ") {
            keys.insert(format!("{section}{key}"));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_given_the_keys_that_it_knows() {
        let defaults = "[kafka]\n# Required.\n# brokers = []\nproperties = {}\n[defaults.retry]\nfactor = 3.0\n";
        let configuration = "
            [kafka]
            brokers = ['a:1']
            rack = 'b'
            properties = { any = '1' }
            [defaults.retry]
            factor = 2.0
            classify = {}
            [defaults.egress]
            allow = []
            [destinations.billing]
            url = 'http://localhost/'
            batch = { max_records = 2 }";
        let expected = "
            [kafka]
            brokers = ['a:1']
            properties = { any = '1' }
            [defaults.retry]
            factor = 2.0
            [destinations.billing]
            url = 'http://localhost/'
            batch = { max_records = 2 }";
        let text = without_unknown_keys(configuration, defaults);
        assert_eq!(
            text.parse::<Table>().unwrap(),
            expected.parse::<Table>().unwrap()
        );
    }
}
