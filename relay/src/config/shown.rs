//! A configuration as a relay shows it, read back for what its requests are made of. What is masked stays masked: of two that
//! are compared neither can be signed, or be anybody.

use serde_json::{Map, Value};

use super::{Config, Environment, Problems};

/// Where a shown configuration comes from, for messages.
const NAME: &str = "the configuration that is shown";

/// What only secrets or this machine's files make whole, and no request shows.
const LEFT_OUT: [&str; 3] = ["auth", "signing", "tls"];

impl Config {
    /// Reads what [`Config::effective`] shows of the destinations.
    ///
    /// # Errors
    ///
    /// When it is not what a relay of this version shows.
    pub fn of_shown(shown: &Value) -> Result<Self, Problems> {
        let mut destinations = shown["destinations"].clone();
        for destination in members(&mut destinations) {
            leave_out(destination);
            for route in destination.get_mut("routes").into_iter().flat_map(members) {
                leave_out(route);
            }
        }
        let whole = serde_json::json!({
            "kafka": { "brokers": ["127.0.0.1:1"] },
            "store": { "url": "sqlite://shown" },
            "destinations": destinations,
        });
        let text = toml::Value::try_from(whole)
            .and_then(|toml| toml::to_string(&toml))
            .map_err(|error| {
                let mut problems = Problems::default();
                problems.add(None, format!("{NAME}: {error}"));
                problems
            })?;
        Self::parse(NAME, &text, &Environment::default())
    }
}

fn members(table: &mut Value) -> impl Iterator<Item = &mut Map<String, Value>> {
    let members = table.as_object_mut().into_iter();
    members
        .flat_map(|table| table.values_mut())
        .filter_map(Value::as_object_mut)
}

fn leave_out(table: &mut Map<String, Value>) {
    for key in LEFT_OUT {
        table.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_reads_back_as_the_same_without_what_is_left_out() {
        let text = r#"
            [kafka]
            brokers = ["127.0.0.1:1"]
            [store]
            url = "sqlite://x"
            [defaults]
            timeout = "10s"
            [destinations.fleet]
            url = "https://fleet.internal/api"
            headers = { "x-tenant" = "main", "x-api-key" = "env:SECRET" }
            sources = ["monolith"]
            start = "latest"
            rate_limit = 200
            retention = { success = "12h", failure = "14d" }
            retry = { max_retries = 8, classify = { "409" = "retry", "4xx" = "reject", "timeout" = "endpoint" } }
            batch = { max_records = 100 }
            auth = { type = "basic", username = "relay", password = "env:SECRET" }
            signing = { secrets = ["env:SIGNING"] }
            egress = { allow = ["10.20.0.0/16"], deny = ["10.20.9.0/24"] }
            [destinations.fleet.routes.Vehicle]
            url = "/vehicles/{key}"
            method = { delete = "DELETE", default = "PUT" }
            batch = { max_records = 1 }
            body = { vehicle = { plate = "$attributes.registration", list = [1, "$key"] }, reason = "$operation" }
            auth = { type = "bearer", token = "env:SECRET" }
            [destinations.fleet.routes."Fleet::Driver"]
            envelope = "cloudevents"
            [destinations.search]
            url = "http://search.internal/{model}"
            enabled = false
        "#;
        let environment = Environment::of([
            ("SECRET", "s3cret"),
            (
                "SIGNING",
                "whsec_cmVwbGljYXRlcy10by10ZXN0LXZlY3Rvci1zZWNyZXQ=",
            ),
        ]);
        let config = Config::parse("relay.toml", text, &environment).unwrap();
        let read = Config::of_shown(config.effective()).unwrap_or_else(|error| panic!("{error}"));
        let mut expected = config.effective()["destinations"].clone();
        let fleet = expected["fleet"].as_object_mut().unwrap();
        leave_out(fleet);
        for route in fleet["routes"].as_object_mut().unwrap().values_mut() {
            leave_out(route.as_object_mut().unwrap());
        }
        leave_out(expected["search"].as_object_mut().unwrap());
        let mut found = read.effective()["destinations"].clone();
        for name in ["fleet", "search"] {
            leave_out(found[name].as_object_mut().unwrap());
        }
        for route in found["fleet"]["routes"]
            .as_object_mut()
            .unwrap()
            .values_mut()
        {
            leave_out(route.as_object_mut().unwrap());
        }
        assert_eq!(crate::config::differences(&expected, &found), []);
        assert_eq!(read.disabled_destinations, config.disabled_destinations);
    }
}
