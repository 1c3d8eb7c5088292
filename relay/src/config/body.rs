//! `envelope` and `body`: what a request says of a record.

use std::collections::BTreeMap;

use relay_core::request::{Body, Shape, Template, VARIABLES, Variable};
use serde_json::Value as Json;

use super::problem::Place;
use super::reference::Reference;
use super::section::{MASK, Section};
use super::tree::{Node, Table, Value, overlay};
use crate::nearest;

/// Lays what a level says over what it inherits. Envelope and body are two ways to say one thing: either of them ends
/// both, and a body is never mixed from two.
pub(super) fn lay(inherited: &mut Table, own: Table) {
    if own.contains_key("envelope") || own.contains_key("body") {
        inherited.remove("envelope");
        inherited.remove("body");
    }
    overlay(inherited, own);
}

pub(super) fn read(section: &Section<'_>) -> Option<Body> {
    let envelope = section.optional("envelope");
    let Some(body) = section.optional("body") else {
        return section.choice(
            "envelope",
            &[
                ("record", Body::Record),
                ("attributes", Body::Attributes),
                ("cloudevents", Body::CloudEvents),
            ],
        );
    };
    // The built-in envelope is below whatever [defaults] say.
    if let Some(envelope) = envelope.filter(|envelope| envelope.place != Place::BuiltIn) {
        let other = &envelope.path;
        section.problem::<()>(
            body,
            format!("cannot stand beside {other}: either says what is sent"),
        );
    }
    let Value::Table(table) = &body.value else {
        return section.refuse(body, "a table");
    };
    let shape = shape_of_table(section, table)?;
    section.show("body", shown_table(table));
    Some(Body::Template(Template::of(&shape)))
}

fn shape_of_table(section: &Section<'_>, table: &Table) -> Option<Shape> {
    let members: Vec<_> = table
        .iter()
        .map(|(name, node)| Some((name.clone(), shape(section, node)?)))
        .collect();
    let members: Option<BTreeMap<_, _>> = members.into_iter().collect();
    members.map(Shape::Table)
}

fn shape(section: &Section<'_>, node: &Node) -> Option<Shape> {
    match &node.value {
        Value::Text(text) => shape_of_text(section, node, text),
        Value::Integer(integer) => Some(Shape::Integer(*integer)),
        Value::Number(number) if number.is_finite() => Some(Shape::Number(*number)),
        Value::Flag(flag) => Some(Shape::Flag(*flag)),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| shape(section, item)).collect();
            items.into_iter().collect::<Option<_>>().map(Shape::List)
        }
        Value::Table(table) => shape_of_table(section, table),
        Value::Number(_) | Value::Foreign(_) => section.refuse(
            node,
            "what JSON has: a string, a number of 64 bits, true, false, a list or a table",
        ),
    }
}

/// A text that begins with `$` names a value of the record; `$$` stands for a `$` at the beginning.
fn shape_of_text(section: &Section<'_>, node: &Node, text: &str) -> Option<Shape> {
    if Reference::of(text).is_some() {
        let resolved = section.resolve(node, "a string")?;
        return Some(Shape::Secret(resolved.text));
    }
    let Some(name) = text.strip_prefix('$') else {
        return Some(Shape::Text(text.to_owned()));
    };
    if name.starts_with('$') {
        return Some(Shape::Text(name.to_owned()));
    }
    let known = VARIABLES.into_iter().chain(["attributes.<name>"]);
    Variable::of_name(name).map(Shape::Variable).or_else(|| {
        let hint = nearest::hint(name, known);
        section.problem(node, format!("wants the unknown ${name}{hint}"))
    })
}

fn shown_table(table: &Table) -> Json {
    let members = table.iter();
    let shown = members.map(|(name, node)| (name.clone(), shown(node)));
    Json::Object(shown.collect())
}

fn shown(node: &Node) -> Json {
    match &node.value {
        Value::Text(text) if Reference::of(text).is_some() => MASK.into(),
        Value::Text(text) | Value::Foreign(text) => text.as_str().into(),
        Value::Integer(integer) => (*integer).into(),
        Value::Number(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::List(items) => items.iter().map(shown).collect(),
        Value::Table(table) => shown_table(table),
    }
}
