//! `config` and `version`: what this binary is, and what it was told.

use serde_json::{Map, Value, json};

use super::VERSION;
use super::failure::Failure;
use super::output::Output;
use crate::REVISION;
use crate::config::{Config, DEFAULTS};

/// The built-in file as it is, comments and all; as JSON only its values.
pub fn print_defaults(output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        let values: Value =
            toml::from_str(DEFAULTS).map_err(|error| Failure::Failed(error.to_string()))?;
        output.object(&values)?;
    } else {
        output.line(DEFAULTS.trim_end())?;
    }
    Ok(())
}

/// What holds, secrets masked.
pub fn print_effective(config: &Config, output: &mut Output) -> Result<(), Failure> {
    let effective = config.effective();
    if output.is_json() {
        output.object(effective)?;
    } else {
        let empty = Map::new();
        let lines = toml_lines("", effective.as_object().unwrap_or(&empty));
        output.line(lines.join("\n").trim())?;
    }
    Ok(())
}

pub fn print_version(output: &mut Output) -> Result<(), Failure> {
    let (_, librdkafka) = rdkafka::util::get_rdkafka_version();
    if output.is_json() {
        output.object(&json!({
            "version": VERSION, "librdkafka": librdkafka, "revision": REVISION,
        }))?;
    } else {
        output.line(&format!(
            "replicates-relay {VERSION} (librdkafka {librdkafka}, rev {REVISION})"
        ))?;
    }
    Ok(())
}

/// A table as TOML: its own values first, then a section for each table in it.
fn toml_lines(path: &str, table: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    let is_section = |name: &str, value: &Value| value.is_object() && !IN_LINE.contains(&name);
    for (name, value) in table {
        if !is_section(name, value) {
            lines.push(format!("{} = {}", toml_key(name), toml_value(value)));
        }
    }
    if !lines.is_empty() && !path.is_empty() {
        lines.insert(0, format!("\n[{path}]"));
    }
    for (name, value) in table {
        if let (true, Some(below)) = (is_section(name, value), value.as_object()) {
            let key = toml_key(name);
            let path = if path.is_empty() {
                key
            } else {
                format!("{path}.{key}")
            };
            lines.extend(toml_lines(&path, below));
        }
    }
    lines
}

/// Tables whose keys are free: short, and easier to read as one value.
const IN_LINE: [&str; 2] = ["properties", "headers"];

fn toml_key(name: &str) -> String {
    let is_bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if name.bytes().all(is_bare) && !name.is_empty() {
        name.to_owned()
    } else {
        toml_value(&Value::from(name))
    }
}

fn toml_value(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(toml_value).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(table) if table.is_empty() => "{}".to_owned(),
        Value::Object(table) => {
            let pairs: Vec<_> = table
                .iter()
                .map(|(name, value)| format!("{} = {}", toml_key(name), toml_value(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        // JSON's escapes are TOML's.
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_is_printed_as_toml_that_reads_back() {
        let holds = json!({
            "store": { "url": "sqlite://a \"b\"\n", "connections_max": 10 },
            "kafka": { "properties": { "security.protocol": "ssl" }, "brokers": ["a:1", "b:2"] },
            "destinations": { "billing": {
                "headers": {},
                "retry": { "factor": 3.0 },
                "routes": { "Fleet::Car": { "retry": { "max_retries": 1 } } },
            } },
        });
        let text = toml_lines("", holds.as_object().unwrap()).join("\n");
        let read: Value = toml::from_str(&text).unwrap();
        assert_eq!(read, holds, "{text}");
        assert!(
            text.contains("[destinations.billing.routes.\"Fleet::Car\".retry]"),
            "{text}"
        );
    }
}
