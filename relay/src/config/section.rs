//! Reading typed values out of a section. Asking for a key is what makes it known: one place says a key's name, its
//! type and its limits, and every wrong value is told in the same words.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::Value as Json;

use super::environment::Environment;
use super::problem::{Place, Problems};
use super::quantity::{format_duration, format_size, parse_duration, parse_size};
use super::reference::Reference;
use super::secret::Secret;
use super::tree::{Node, Table, Value};
use crate::nearest;

/// How a secret is shown.
pub const MASK: &str = "***";

/// What all sections of one configuration share.
pub struct Reading<'a> {
    pub environment: &'a Environment,
    pub problems: RefCell<Problems>,
    /// What holds in the end, redacted.
    pub shown: RefCell<Json>,
}

/// A text as it holds: references followed.
pub struct Resolved {
    pub text: String,
    pub is_reference: bool,
}

/// A table of the configuration.
pub struct Section<'a> {
    reading: &'a Reading<'a>,
    path: Vec<String>,
    /// None where something else than a table was written: that is told, and nothing below it.
    table: Option<&'a Table>,
    known: RefCell<Vec<&'static str>>,
    visibility: Visibility,
}

/// Whether what a section says is part of what holds in the end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Visibility {
    Shown,
    /// Checked here, shown elsewhere.
    Hidden,
}

impl<'a> Section<'a> {
    /// The section at `path`. Reading the root (an empty path) makes every section known that is asked for.
    pub fn new(
        reading: &'a Reading<'a>,
        path: Vec<String>,
        table: &'a Table,
        visibility: Visibility,
    ) -> Self {
        Self {
            reading,
            path,
            table: Some(table),
            known: RefCell::default(),
            visibility,
        }
    }

    /// A section below this one; an empty one when nothing was written.
    pub fn section(&self, key: &'static str) -> Section<'a> {
        static NOTHING: Table = Table::new();
        let table = match self.optional(key) {
            Some(Node {
                value: Value::Table(table),
                ..
            }) => Some(table),
            Some(node) => self.refuse_kind(node, "a table"),
            None => self.table.and(Some(&NOTHING)),
        };
        let path = self.path_of(key);
        Section {
            table,
            ..Section::new(self.reading, path, &NOTHING, self.visibility)
        }
    }

    /// A table that is an item of a list, or has a free name.
    pub fn item(&self, path: Vec<String>, node: &'a Node, allowed: &str) -> Option<Section<'a>> {
        match &node.value {
            Value::Table(table) => Some(Section::new(self.reading, path, table, self.visibility)),
            // Not `refuse`: what is there instead may be a secret.
            _ => self.problem(node, format!("must be {allowed}")),
        }
    }

    /// The same section, its values shown elsewhere.
    pub fn hidden(mut self) -> Self {
        self.visibility = Visibility::Hidden;
        self
    }

    /// The entries of a table whose keys are free: names of headers, of destinations.
    pub fn entries(&self, key: &'static str) -> Vec<(&'a String, &'a Node)> {
        self.section(key).table.into_iter().flatten().collect()
    }

    /// A text for which `parse` finds a meaning.
    pub fn text<T>(
        &self,
        key: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let node = self.required(key)?;
        let text = self.resolve(node, allowed)?.text;
        let parsed = parse(&text).or_else(|| self.refuse(node, allowed))?;
        self.show(key, text);
        Some(parsed)
    }

    /// One of a few words.
    pub fn choice<T: Clone>(&self, key: &'static str, words: &[(&str, T)]) -> Option<T> {
        let (text, word) = self.word(self.required(key)?, words)?;
        self.show(key, text);
        Some(word)
    }

    /// A node that is one of a few words: as it was written, and what it means.
    pub fn word<T: Clone>(&self, node: &Node, words: &[(&str, T)]) -> Option<(String, T)> {
        let listed: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let allowed = listed.join(" or ");
        let text = self.resolve(node, &allowed)?.text;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            let meaning = meaning.clone();
            return Some((text, meaning));
        }
        let hint = if words.len() > 1 && !is_reference(node) {
            nearest::hint(&text, words.iter().map(|(word, _)| *word))
        } else {
            String::new()
        };
        self.problem(
            node,
            format!("must be {allowed}, not {}{hint}", shown_value(node)),
        )
    }

    pub fn duration(
        &self,
        key: &'static str,
        limits: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let allowed = format!(
            "a duration from {} to {}, like \"500ms\" \"5s\" \"10m\" \"6h\" \"7d\"",
            format_duration(*limits.start()),
            format_duration(*limits.end())
        );
        self.text(key, &allowed, |text| {
            parse_duration(text).filter(|duration| limits.contains(duration))
        })
    }

    /// Bytes.
    pub fn size(&self, key: &'static str, limits: RangeInclusive<u64>) -> Option<u64> {
        let allowed = format!(
            "a size from {} to {}, like \"64KiB\" \"1MiB\"",
            format_size(*limits.start()),
            format_size(*limits.end())
        );
        self.text(key, &allowed, |text| {
            parse_size(text).filter(|size| limits.contains(size))
        })
    }

    pub fn integer(&self, key: &'static str, limits: RangeInclusive<u32>) -> Option<u32> {
        let allowed = format!("a whole number from {} to {}", limits.start(), limits.end());
        let node = self.required(key)?;
        let integer = match node.value {
            Value::Integer(integer) => u32::try_from(integer).ok(),
            _ => None,
        };
        let integer = integer
            .filter(|integer| limits.contains(integer))
            .or_else(|| self.refuse_kind(node, &allowed))?;
        self.show(key, integer);
        Some(integer)
    }

    pub fn number(&self, key: &'static str, limits: RangeInclusive<f64>) -> Option<f64> {
        let allowed = format!("a number from {} to {}", limits.start(), limits.end());
        let node = self.required(key)?;
        let number = match node.value {
            Value::Number(number) => Some(number),
            Value::Integer(integer) => i32::try_from(integer).ok().map(f64::from),
            _ => None,
        };
        let number = number
            .filter(|number| limits.contains(number))
            .or_else(|| self.refuse_kind(node, &allowed))?;
        self.show(key, number);
        Some(number)
    }

    pub fn flag(&self, key: &'static str) -> Option<bool> {
        let node = self.required(key)?;
        let Value::Flag(flag) = node.value else {
            return self.refuse_kind(node, "true or false");
        };
        self.show(key, flag);
        Some(flag)
    }

    /// A list of texts, each of which `is_allowed`.
    pub fn texts(
        &self,
        key: &'static str,
        allowed: &str,
        is_allowed: impl Fn(&str) -> bool,
    ) -> Option<Vec<String>> {
        let mut texts = Vec::new();
        for node in self.list(key)? {
            let text = self.resolve(node, allowed).map(|resolved| resolved.text);
            texts.push(text.and_then(|text| {
                if is_allowed(&text) {
                    Some(text)
                } else {
                    self.refuse(node, allowed)
                }
            }));
        }
        let texts: Vec<String> = texts.into_iter().collect::<Option<_>>()?;
        self.show(key, texts.clone());
        Some(texts)
    }

    /// The items of a list.
    pub fn list(&self, key: &'static str) -> Option<&'a [Node]> {
        let node = self.required(key)?;
        let Value::List(items) = &node.value else {
            return self.refuse_kind(node, "a list");
        };
        Some(items)
    }

    /// A secret: only a reference will do, unless a flag of the command line brought it.
    pub fn secret(&self, node: &Node) -> Option<Secret> {
        let allowed = "a reference (\"env:NAME\" or \"file:/path\")";
        let resolved = match &node.value {
            Value::Text(text) if Reference::of(text).is_none() && !is_flag(node) => {
                return self.problem(node, format!("must be {allowed}, not a plain value"));
            }
            Value::Text(_) => self.resolve(node, allowed)?,
            // Not `refuse`: a number may be a secret as well.
            _ => return self.problem(node, format!("must be {allowed}")),
        };
        if resolved.text.is_empty() {
            return self.problem(node, format!("is {}, which is empty", node.value.shown()));
        }
        Some(Secret::new(resolved.text))
    }

    /// The text of a node, its reference followed.
    pub fn resolve(&self, node: &Node, allowed: &str) -> Option<Resolved> {
        let Value::Text(text) = &node.value else {
            return self.refuse(node, allowed);
        };
        let Some(reference) = Reference::of(text) else {
            return Some(Resolved {
                text: text.clone(),
                is_reference: false,
            });
        };
        match reference.follow(self.reading.environment) {
            Ok(text) => Some(Resolved {
                text,
                is_reference: true,
            }),
            Err(reason) => self.problem(node, format!("is {text:?}, {reason}")),
        }
    }

    /// A node that must be there.
    pub fn required(&self, key: &'static str) -> Option<&'a Node> {
        let node = self.optional(key);
        if node.is_none() && self.table.is_some() {
            let path = self.path_of(key).join(".");
            self.reading
                .problems
                .borrow_mut()
                .add(None, format!("{path} is required"));
        }
        node
    }

    /// A node that may be there.
    pub fn optional(&self, key: &'static str) -> Option<&'a Node> {
        self.known.borrow_mut().push(key);
        self.table?.get(key)
    }

    /// Adds a problem: the node's key, then what is wrong with it.
    pub fn problem<T>(&self, node: &Node, message: impl AsRef<str>) -> Option<T> {
        let message = format!("{} {}", node.path, message.as_ref());
        self.reading
            .problems
            .borrow_mut()
            .add(Some(&node.place), message);
        None
    }

    /// Adds the problem that a node is something else than what is allowed.
    pub fn refuse<T>(&self, node: &Node, allowed: &str) -> Option<T> {
        self.problem(
            node,
            format!("must be {allowed}, not {}", shown_value(node)),
        )
    }

    /// The same of what cannot be a reference: a text that looks like one was not followed.
    fn refuse_kind<T>(&self, node: &Node, allowed: &str) -> Option<T> {
        let shown = node.value.shown();
        self.problem(node, format!("must be {allowed}, not {shown}"))
    }

    /// Records what holds for a key.
    pub fn show(&self, key: &str, value: impl Into<Json>) {
        if self.visibility == Visibility::Hidden {
            return;
        }
        let mut shown = self.reading.shown.borrow_mut();
        let mut below = &mut *shown;
        for name in &self.path {
            below = &mut below[name.as_str()];
        }
        below[key] = value.into();
    }

    /// Adds a problem for each key that nobody asked for. Inherited keys are told where they were written.
    pub fn refuse_unknown_keys(&self) {
        let known = self.known.borrow();
        for (key, node) in self.table.into_iter().flatten() {
            let is_own = node.path == self.own_path(key);
            if is_own && !known.contains(&key.as_str()) {
                let hint = nearest::hint(key, known.iter().copied());
                self.problem::<()>(node, format!("is unknown{hint}"));
            }
        }
    }

    /// Adds a problem for a key that somebody else has: where it is inherited it is right.
    pub fn refuse_own(&self, key: &'static str, message: &str) {
        let path = self.own_path(key);
        if let Some(node) = self.optional(key).filter(|node| node.path == path) {
            self.problem::<()>(node, message);
        }
    }

    fn path_of(&self, key: &str) -> Vec<String> {
        self.path_below(&[key])
    }

    /// The path of what lies below this section.
    pub fn path_below(&self, keys: &[&str]) -> Vec<String> {
        let below = keys.iter().map(|key| (*key).to_owned());
        self.path.iter().cloned().chain(below).collect()
    }

    fn own_path(&self, key: &str) -> String {
        self.path_of(key).join(".")
    }
}

fn is_reference(node: &Node) -> bool {
    matches!(&node.value, Value::Text(text) if Reference::of(text).is_some())
}

fn shown_value(node: &Node) -> String {
    let shown = node.value.shown();
    if is_reference(node) {
        format!("what {shown} holds")
    } else {
        shown
    }
}

fn is_flag(node: &Node) -> bool {
    matches!(node.place, Place::Flag(_))
}
