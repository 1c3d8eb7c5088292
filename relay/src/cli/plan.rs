//! `plan`: what a new configuration would change, on the last records of the running relay's topics. Sends nothing, commits
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use relay_core::engine::KafkaRecord;
use relay_core::names::Stream;
use serde_json::{Value, json};

use super::arguments::{PlanArguments, RelayArguments};
use super::client::{Client, Query};
use super::failure::{FAILED, Failure};
use super::output::Output;
use crate::clock::Clock;
use crate::config::{Config, Difference, differences};
use crate::kafka::recent;
use crate::nearest;
use crate::plan::{Fate, Request, Subject};

pub fn run(
    new_path: &Path,
    flags: &PlanArguments,
    relay: &RelayArguments,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let new = super::load_from(new_path)?;
    let running = Client::new(relay).read("/config", &Query::new())?;
    let names = names(&running, new.effective(), flags.destination.as_deref())?;
    let settings: Vec<_> = differences(&running, new.effective())
        .into_iter()
        .filter(|difference| is_asked_for(difference, flags.destination.as_deref()))
        .collect();
    print_settings(&settings, output)?;
    let before = Config::of_shown(&running)?;
    let after = Config::of_shown(new.effective())?;
    let prefix = running["kafka"]["topic_prefix"].as_str();
    let prefix = prefix.unwrap_or(&new.kafka.topic_prefix).to_owned();
    let is_wanted = |topic: &str| stream_of(topic, &prefix, &names).is_some();
    let records = recent(&new.kafka, is_wanted, flags.records)
        .map_err(|failure| Failure::Failed(failure.to_string()))?;
    let mut changed = !settings.is_empty();
    for (name, records) in by_destination(&records, &prefix, &names, flags.records) {
        let sides = Sides {
            before: &before,
            after: &after,
        };
        changed |= sides.print(&name, &records, output)? > 0;
    }
    if !changed {
        output.message("nothing changes");
    }
    let code = if changed && flags.exit_code {
        FAILED
    } else {
        0
    };
    Ok(ExitCode::from(code))
}

/// The destinations that either side has, or the one asked for.
fn names(running: &Value, new: &Value, asked: Option<&str>) -> Result<BTreeSet<String>, Failure> {
    let of = |shown: &Value| {
        let destinations = shown["destinations"].as_object();
        let names = destinations
            .into_iter()
            .flat_map(|table| table.keys().cloned());
        names.collect::<BTreeSet<_>>()
    };
    let mut names = of(running);
    names.extend(of(new));
    let Some(asked) = asked else { return Ok(names) };
    if names.contains(asked) {
        return Ok(BTreeSet::from([asked.to_owned()]));
    }
    let hint = nearest::hint(asked, names.iter().map(String::as_str));
    Err(Failure::Usage(format!(
        "neither configuration has a destination {asked:?}{hint}"
    )))
}

/// Whether a difference is told. The name of a replica is its own, and not the file's.
fn is_asked_for(difference: &Difference, destination: Option<&str>) -> bool {
    if difference.path == "relay.name" {
        return false;
    }
    let Some(name) = destination else { return true };
    let below = difference.path.strip_prefix("destinations.");
    below.is_none_or(|below| below == name || below.starts_with(&format!("{name}.")))
}

fn stream_of(topic: &str, prefix: &str, names: &BTreeSet<String>) -> Option<Stream> {
    names
        .iter()
        .find_map(|name| Stream::of_topic(topic, prefix, name))
}

/// The newest records of each destination, the oldest of them first.
fn by_destination<'a>(
    records: &'a [KafkaRecord],
    prefix: &str,
    names: &BTreeSet<String>,
    count: usize,
) -> BTreeMap<String, Vec<(Stream, &'a KafkaRecord)>> {
    let mut all: BTreeMap<String, Vec<_>> =
        names.iter().map(|name| (name.clone(), vec![])).collect();
    for record in records {
        if let Some(stream) = stream_of(&record.coordinates.topic, prefix, names)
            && let Some(of_name) = all.get_mut(&*stream.destination)
        {
            of_name.push((stream, record));
        }
    }
    for of_name in all.values_mut() {
        of_name.sort_by_key(|(_, record)| (record.timestamp, record.coordinates.offset));
        of_name.drain(..of_name.len().saturating_sub(count));
    }
    all
}

fn print_settings(settings: &[Difference], output: &mut Output) -> Result<(), Failure> {
    for setting in settings {
        let Difference {
            path,
            before,
            after,
        } = setting;
        let needs_restart = setting.needs_restart();
        if output.is_json() {
            output.object(&json!({
                "setting": path, "before": before, "after": after, "needs_restart": needs_restart,
            }))?;
        } else {
            let remark = if needs_restart {
                "  (needs a restart)"
            } else {
                ""
            };
            output.line(&format!(
                "{path}  {} -> {}{remark}",
                word(before),
                word(after)
            ))?;
        }
    }
    Ok(())
}

fn word(value: &Value) -> String {
    match value {
        Value::Null => "(not set)".to_owned(),
        // A whole destination or route: all of its keys would say no more.
        Value::Object(_) => "{…}".to_owned(),
        other => other.to_string(),
    }
}

/// The configuration that holds, and the one that would.
struct Sides<'a> {
    before: &'a Config,
    after: &'a Config,
}

impl Sides<'_> {
    /// Prints the requests of a destination that would change, and how many there are.
    fn print(
        &self,
        name: &str,
        records: &[(Stream, &KafkaRecord)],
        output: &mut Output,
    ) -> Result<usize, Failure> {
        // Signatures and times must not differ for the time that passes between the two.
        let now = Clock::start().now().wall;
        let (mut changed, mut unreadable) = (0, 0);
        for (stream, record) in records {
            let Some(subject) = Subject::read(record, stream.clone()) else {
                unreadable += 1;
                continue;
            };
            let (before, after) = (
                subject.fate(self.before, now),
                subject.fate(self.after, now),
            );
            if before != after {
                changed += 1;
                print_change(&subject, &before, &after, output)?;
            }
        }
        let count = records.len();
        if output.is_json() {
            output.object(&json!({
                "destination": name, "records": count, "changed": changed, "unreadable": unreadable,
            }))?;
        } else {
            let rest = match unreadable {
                0 => String::new(),
                count => format!(", {count} cannot be read"),
            };
            output.line(&format!(
                "{name}  {changed} of {count} requests change{rest}"
            ))?;
        }
        Ok(changed)
    }
}

fn print_change(
    subject: &Subject<'_>,
    before: &Fate,
    after: &Fate,
    output: &mut Output,
) -> Result<(), Failure> {
    let Subject {
        stream,
        id,
        record,
        kafka,
    } = subject;
    let operation = record.operation.as_str();
    if output.is_json() {
        let coordinates = &kafka.coordinates;
        output.object(&json!({
            "id": id.to_string(),
            "destination": *stream.destination,
            "source": *stream.source,
            "model": *stream.model,
            "key": *record.key,
            "version": record.version,
            "operation": operation,
            "kafka": {
                "topic": *coordinates.topic,
                "partition": coordinates.partition,
                "offset": coordinates.offset,
            },
            "before": before.shown(),
            "after": after.shown(),
        }))?;
        return Ok(());
    }
    output.line(&format!(
        "{}  {} {} of {}  version {}  {operation}",
        stream.destination, stream.model, record.key, stream.source, record.version
    ))?;
    let lines = match (before, after) {
        (Fate::Sent(before), Fate::Sent(after)) => changes(before, after),
        _ => vec![format!("{} -> {}", summary(before), summary(after))],
    };
    for line in lines {
        output.line(&format!("    {line}"))?;
    }
    Ok(())
}

fn summary(fate: &Fate) -> String {
    match fate {
        Fate::Left { why } => format!("not delivered, {why}"),
        Fate::Quarantined { error } => format!("quarantined, {error}"),
        Fate::Sent(request) => format!("{} {}", request.method, request.url),
    }
}

/// Line by line, what is another in one request than in the other.
fn changes(before: &Request, after: &Request) -> Vec<String> {
    let mut lines = vec![];
    let mut line = |name: &str, one: &str, other: &str| {
        if one != other {
            lines.push(format!("{name}  {one} -> {other}"));
        }
    };
    line("method", before.method, after.method);
    line("url", &before.url, &after.url);
    let shape = |request: &Request| {
        if request.is_batch {
            "a batch"
        } else {
            "one record"
        }
    };
    line("shape", shape(before), shape(after));
    let names: BTreeSet<_> = before.headers.keys().chain(after.headers.keys()).collect();
    for name in names {
        let value = |request: &Request| {
            let value = request.headers.get(name);
            value.cloned().unwrap_or_else(|| "(none)".to_owned())
        };
        line(&format!("header {name}"), &value(before), &value(after));
    }
    if !before.has_body_of(after) {
        lines.push(format!("body  - {}", before.body()));
        lines.push(format!("      + {}", after.body()));
    }
    lines
}
