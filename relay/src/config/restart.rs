//! What a running relay cannot take in: sections that its threads were started with.

use super::Config;
use super::difference;
use super::problem::Problems;

/// Sections that hold until the relay ends. Of `admin` the tokens may change.
const SECTIONS: [&str; 6] = ["relay", "kafka", "store", "admin", "log", "telemetry"];

/// Whether a key holds until the relay ends.
pub(super) fn is_fixed(path: &str) -> bool {
    let section = path.split('.').next().unwrap_or_default();
    SECTIONS.contains(&section) && path != "admin.tokens"
}

/// One problem for each key in which the two differ.
pub(super) fn differences(running: &Config, next: &Config) -> Problems {
    let mut paths: Vec<_> = difference::of(&running.shown, &next.shown)
        .into_iter()
        .map(|difference| difference.path)
        .filter(|path| is_fixed(path))
        .collect();
    // What is not shown may differ all the same.
    if running.store.url != next.store.url {
        paths.push("store.url".to_owned());
    }
    let names = running.kafka.properties.keys();
    for name in names.chain(next.kafka.properties.keys()) {
        if running.kafka.properties.get(name) != next.kafka.properties.get(name) {
            paths.push(format!("kafka.properties.{name}"));
        }
    }
    paths.sort();
    paths.dedup();
    let mut problems = Problems::default();
    for path in paths {
        problems.add(None, format!("needs a restart: {path}"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    const BASE: &str = r#"
        [kafka]
        brokers = ["127.0.0.1:1"]
        properties = { "sasl.password" = "env:ONE" }
        [store]
        url = "env:STORE_ONE"
        [admin]
        listen = "0.0.0.0:8080"
        tokens = [{ name = "ops", role = "operator", token = "env:ONE" }]
        [destinations.billing]
        url = "http://127.0.0.1:1/"
    "#;

    fn differences_with(changes: &[(&str, &str)]) -> Vec<String> {
        let environment = Environment::of([
            ("ONE", "one"),
            ("TWO", "two"),
            ("STORE_ONE", "postgres://relay:one@127.0.0.1/relay"),
            ("STORE_TWO", "postgres://relay:two@127.0.0.1/relay"),
        ]);
        let read = |text: &str| Config::parse("relay.toml", text, &environment).unwrap();
        let mut next = BASE.to_owned();
        for (from, to) in changes {
            assert!(next.contains(from), "{from}");
            next = next.replace(from, to);
        }
        let problems = read(BASE).restarts_for(&read(&next));
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn destinations_and_tokens_need_no_restart() {
        let nothing = differences_with(&[
            ("token = \"env:ONE\"", "token = \"env:TWO\""),
            ("role = \"operator\"", "role = \"viewer\""),
            ("billing", "fleet"),
        ]);
        assert_eq!(nothing, [""; 0]);
    }

    #[test]
    fn everything_that_needs_a_restart_is_named_also_where_it_is_not_shown() {
        let all = differences_with(&[
            ("env:STORE_ONE", "env:STORE_TWO"),
            (
                "\"sasl.password\" = \"env:ONE\"",
                "\"sasl.password\" = \"env:TWO\", \"client.rack\" = \"a\"",
            ),
            ("0.0.0.0:8080", "0.0.0.0:8081"),
            (
                "[store]",
                "[log]\nflush_rows = 7\n[telemetry]\nlevel = \"warn\"\n[relay]\nname = \"other\"\n[store]\nconnections_max = 3",
            ),
        ]);
        let expected = [
            "needs a restart: admin.listen",
            "needs a restart: kafka.properties.client.rack",
            "needs a restart: kafka.properties.sasl.password",
            "needs a restart: log.flush_rows",
            "needs a restart: relay.name",
            "needs a restart: store.connections_max",
            "needs a restart: store.url",
            "needs a restart: telemetry.level",
        ];
        assert_eq!(all, expected);
    }
}
