//! What was written, before anyone asks what it means: values that remember their key and their place.
//!
//! Layers (built-in, file, environment) are laid over each other here, key by key.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::environment::{Environment, OVERRIDE_PREFIX};
use super::problem::{Place, Problems};

pub type Table = BTreeMap<String, Node>;

/// A value, its full key as it was written, and where.
#[derive(Debug, Clone)]
pub struct Node {
    /// `destinations.billing.retry.base`; inherited values keep the key of where they come from.
    pub path: String,
    pub place: Place,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub enum Value {
    Text(String),
    Integer(i64),
    Number(f64),
    Flag(bool),
    List(Vec<Node>),
    Table(Table),
    /// What TOML knows and no key takes: dates, and integers beyond 64 bits.
    Foreign(String),
}

impl Value {
    /// The value as a message shows it.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("{text:?}"),
            Self::Integer(integer) => integer.to_string(),
            Self::Number(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
            Self::List(items) => format!("a list of {}", items.len()),
            Self::Table(_) => "a table".to_owned(),
            Self::Foreign(text) => text.clone(),
        }
    }
}

/// Reads TOML text. What cannot be read is added to the problems; the rest is still returned.
pub fn parse(text: &str, place_of_line: impl Fn(usize) -> Place, problems: &mut Problems) -> Table {
    let reader = Reader {
        line_starts: line_starts(text),
        place_of_line,
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let offset = error.span().map_or(0, |span| span.start);
        problems.add(
            Some(&reader.place(offset)),
            format!("not valid TOML: {}", error.message()),
        );
    }
    reader.table("", table.get_ref())
}

/// Lays `over` over `under`: tables key by key, everything else as a whole. What is in a table keeps its key and its place;
/// the table is where it was last written.
pub fn overlay(under: &mut Table, over: Table) {
    for (key, Node { path, place, value }) in over {
        let value = match (under.remove(&key).map(|node| node.value), value) {
            (Some(Value::Table(mut below)), Value::Table(above)) => {
                overlay(&mut below, above);
                Value::Table(below)
            }
            (_, value) => value,
        };
        under.insert(key, Node { path, place, value });
    }
}

/// The overrides of the environment, with the spelling of the keys that `known` has.
pub fn of_environment(environment: &Environment, known: &Table, problems: &mut Problems) -> Table {
    let mut overrides = Table::new();
    for (name, value) in environment.overrides() {
        let place = Place::Variable(Arc::from(name));
        let Some(text) = value else {
            problems.add(Some(&place), "the value is not valid UTF-8".to_owned());
            continue;
        };
        let keys = spelled_as_in(known, &name[OVERRIDE_PREFIX.len()..]);
        let reader = Reader {
            line_starts: line_starts(text),
            place_of_line: |_| place.clone(),
        };
        match DeValue::parse(text) {
            Ok(value) => {
                let node = reader.node(keys.join("."), 0, value.get_ref());
                overlay(&mut overrides, nested(&keys, node));
            }
            Err(_) => problems.add(
                Some(&place),
                "the value is not TOML (a string needs its quotes: \"5s\")".to_owned(),
            ),
        }
    }
    overrides
}

/// `STORE__URL` as `["store", "url"]`; keys that are there keep their spelling, so that models keep their capitals.
fn spelled_as_in(known: &Table, name: &str) -> Vec<String> {
    let mut below = Some(known);
    name.split("__")
        .map(|part| {
            let found = below
                .and_then(|table| table.iter().find(|(key, _)| key.eq_ignore_ascii_case(part)));
            below = match found {
                Some((
                    _,
                    Node {
                        value: Value::Table(table),
                        ..
                    },
                )) => Some(table),
                _ => None,
            };
            let is_shouted = !part.chars().any(|c| c.is_ascii_lowercase());
            match found {
                Some((key, _)) => key.clone(),
                None if is_shouted => part.to_ascii_lowercase(),
                None => part.to_owned(),
            }
        })
        .collect()
}

/// A table that holds nothing but `node` at the end of `keys`.
pub fn nested(keys: &[String], node: Node) -> Table {
    let Some((last, parents)) = keys.split_last() else {
        return Table::new();
    };
    let place = node.place.clone();
    let mut table = Table::from([(last.clone(), node)]);
    for depth in (0..parents.len()).rev() {
        let parent = Node {
            path: keys[..=depth].join("."),
            place: place.clone(),
            value: Value::Table(table),
        };
        table = Table::from([(keys[depth].clone(), parent)]);
    }
    table
}

struct Reader<F> {
    line_starts: Vec<usize>,
    place_of_line: F,
}

impl<F: Fn(usize) -> Place> Reader<F> {
    fn place(&self, offset: usize) -> Place {
        (self.place_of_line)(self.line_starts.partition_point(|start| *start <= offset))
    }

    fn table(&self, path: &str, table: &DeTable<'_>) -> Table {
        table
            .iter()
            .map(|(key, value)| {
                let name = key.get_ref();
                let path = if path.is_empty() {
                    name.to_string()
                } else {
                    format!("{path}.{name}")
                };
                let node = self.node(path, key.span().start, value.get_ref());
                (name.to_string(), node)
            })
            .collect()
    }

    fn node(&self, path: String, offset: usize, value: &DeValue<'_>) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(integer) => {
                match i64::from_str_radix(integer.as_str(), integer.radix()) {
                    Ok(integer) => Value::Integer(integer),
                    Err(_) => Value::Foreign(integer.to_string()),
                }
            }
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(number) => Value::Number(number),
                Err(_) => Value::Foreign(number.to_string()),
            },
            DeValue::Boolean(flag) => Value::Flag(*flag),
            DeValue::Datetime(datetime) => Value::Foreign(datetime.to_string()),
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(position, item)| {
                        self.node(
                            format!("{path}[{position}]"),
                            item.span().start,
                            item.get_ref(),
                        )
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Value::Table(self.table(&path, table)),
        };
        Node {
            path,
            place: self.place(offset),
            value,
        }
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0)
        .chain(text.match_indices('\n').map(|(offset, _)| offset + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(line: usize) -> Place {
        Place::File {
            name: "relay.toml".into(),
            line,
        }
    }

    fn parsed(text: &str) -> Table {
        let mut problems = Problems::default();
        let table = parse(text, file, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        table
    }

    fn find<'a>(table: &'a Table, path: &str) -> &'a Node {
        let (first, rest) = path
            .split_once('.')
            .map_or((path, None), |(a, b)| (a, Some(b)));
        match (&table[first].value, rest) {
            (Value::Table(below), Some(rest)) => find(below, rest),
            _ => &table[first],
        }
    }

    #[test]
    fn a_value_knows_its_key_and_its_line() {
        let table = parsed("[a]\nb = 1\n[a.c]\n\nd = [\n  2, 0x1F]\n");
        assert_eq!(find(&table, "a.b").place, file(2));
        let list = find(&table, "a.c.d");
        assert_eq!((list.path.as_str(), &list.place), ("a.c.d", &file(5)));
        let Value::List(items) = &list.value else {
            panic!("{list:?}")
        };
        assert_eq!(
            (items[1].path.as_str(), items[1].value.shown().as_str()),
            ("a.c.d[1]", "31")
        );
    }

    #[test]
    fn every_syntax_error_has_its_line() {
        let mut problems = Problems::default();
        let table = parse("a = \nb = 2\nc = [\n", file, &mut problems);
        assert_eq!(find(&table, "b").value.shown(), "2");
        let lines: Vec<_> = problems
            .iter()
            .map(|problem| problem.place.clone())
            .collect();
        assert!(lines.contains(&Some(file(1))), "{problems}");
        assert!(lines.len() >= 2, "{problems}");
    }

    #[test]
    fn a_layer_replaces_single_keys_of_a_table() {
        let mut table = parsed("[a]\nb = 1\nc = 2\n");
        overlay(&mut table, parsed("a = { c = 3 }\nd = 4"));
        assert_eq!(find(&table, "a.b").value.shown(), "1");
        assert_eq!(find(&table, "a.c").value.shown(), "3");
        assert_eq!(find(&table, "d").value.shown(), "4");
    }

    #[test]
    fn a_table_is_where_it_was_last_written_and_what_is_in_it_where_it_came_from() {
        let mut table = parsed("[a]\nb = 1\n");
        let mut problems = Problems::default();
        let line = |line| Place::Variable(format!("LINE_{line}").into());
        overlay(&mut table, parse("\n[a]\nc = 2", line, &mut problems));
        assert_eq!(table["a"].place, line(2));
        assert_eq!(find(&table, "a.b").place, file(2));
        assert_eq!(find(&table, "a.c").place, line(3));
    }

    #[test]
    fn a_variable_overrides_the_key_it_spells_and_models_keep_their_capitals() {
        let known = parsed("[destinations.billing.routes.Vehicle.retry]\nmax_retries = 1\n");
        let environment = Environment::of([
            (
                "RELAY__DESTINATIONS__BILLING__ROUTES__VEHICLE__RETRY__MAX_RETRIES",
                "7",
            ),
            ("RELAY__DESTINATIONS__BILLING__ROUTES__Car__RETRY", "{}"),
            ("RELAY__STORE__URL", "'sqlite://x'"),
            ("OTHER__STORE__URL", "'y'"),
        ]);
        let mut problems = Problems::default();
        let table = of_environment(&environment, &known, &mut problems);
        assert!(problems.is_empty(), "{problems}");
        let path = "destinations.billing.routes.Vehicle.retry.max_retries";
        assert_eq!(find(&table, path).value.shown(), "7");
        assert_eq!(find(&table, path).path, path);
        assert_eq!(
            find(&table, "destinations.billing.routes.Car.retry").path,
            "destinations.billing.routes.Car.retry"
        );
        assert_eq!(find(&table, "store.url").value.shown(), "\"sqlite://x\"");
    }

    #[test]
    fn a_variable_that_is_not_toml_is_named_without_its_value() {
        let environment = Environment::of([("RELAY__STORE__URL", "postgres://u:hunter2@h/d")]);
        let mut problems = Problems::default();
        of_environment(&environment, &Table::new(), &mut problems);
        let text = problems.to_string();
        assert!(
            text.contains("RELAY__STORE__URL: the value is not TOML"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
}
