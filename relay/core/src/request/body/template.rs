//! A body of the destination's own: constants, and the places where a record's values go. Compiled once, so that a request
//! only copies bytes.

use std::collections::BTreeMap;

use super::super::{Outgoing, Unmappable};
use crate::names::Operation;
use crate::record::View;
use crate::record::json::{
    MASKED, write_display, write_double, write_integer, write_quoted, write_string,
};

/// The names of the variables; `attributes.<name>` is one attribute.
pub const VARIABLES: [&str; 8] = [
    "id",
    "source",
    "model",
    "key",
    "operation",
    "version",
    "committed_at",
    "attributes",
];

/// What a template may say of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Variable {
    Id,
    Source,
    Model,
    Key,
    Operation,
    Version,
    CommittedAt,
    Attributes,
    Attribute(Box<str>),
}

/// A template as it is written.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    Text(String),
    /// A text that no log may show.
    Secret(String),
    Integer(i64),
    /// Finite: JSON has no other numbers.
    Number(f64),
    Flag(bool),
    Variable(Variable),
    List(Vec<Shape>),
    Table(BTreeMap<String, Shape>),
}

/// A template as it is sent.
#[derive(Clone)]
pub struct Template {
    pieces: Box<[Piece]>,
    aliases: Box<[(Box<str>, Box<str>)]>,
    has_attributes: bool,
}

#[derive(Clone)]
enum Piece {
    Json(Box<[u8]>),
    Secret(Box<str>),
    Variable(Variable),
}

impl Variable {
    /// The variable of that name, which has no `$`.
    pub fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "id" => Self::Id,
            "source" => Self::Source,
            "model" => Self::Model,
            "key" => Self::Key,
            "operation" => Self::Operation,
            "version" => Self::Version,
            "committed_at" => Self::CommittedAt,
            "attributes" => Self::Attributes,
            other => {
                let attribute = other.strip_prefix("attributes.")?;
                if attribute.is_empty() {
                    return None;
                }
                Self::Attribute(attribute.into())
            }
        })
    }
}

impl Template {
    /// Compiles a template.
    pub fn of(shape: &Shape) -> Self {
        let mut compiler = Compiler::default();
        compiler.add(shape, None);
        compiler.end_json();
        let is_attribute = |piece: &Piece| matches!(piece, Piece::Variable(Variable::Attribute(_)));
        Self {
            has_attributes: compiler.pieces.iter().any(is_attribute),
            pieces: compiler.pieces.into(),
            aliases: compiler.aliases.into(),
        }
    }

    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Secret(text) => Some(&**text),
            Piece::Json(_) | Piece::Variable(_) => None,
        })
    }

    pub(super) fn aliases(&self) -> &[(Box<str>, Box<str>)] {
        &self.aliases
    }

    pub(super) fn write(
        &self,
        delivery: &Outgoing<'_>,
        view: View<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unmappable> {
        let record = delivery.record;
        let attributes = self.has_attributes.then(|| record.attributes());
        for piece in &self.pieces {
            match piece {
                Piece::Json(json) => out.extend_from_slice(json),
                Piece::Secret(text) => match view {
                    View::Consumer => write_string(out, text),
                    View::Log { .. } => write_string(out, MASKED),
                },
                Piece::Variable(Variable::Id) => {
                    write_quoted(out, |out| write_display(out, &delivery.id));
                }
                Piece::Variable(Variable::Source) => write_string(out, &delivery.stream.source),
                Piece::Variable(Variable::Model) => write_string(out, &delivery.stream.model),
                Piece::Variable(Variable::Key) => write_string(out, &record.key),
                Piece::Variable(Variable::Operation) => {
                    write_string(out, record.operation.as_str());
                }
                Piece::Variable(Variable::Version) => write_integer(out, record.version),
                Piece::Variable(Variable::CommittedAt) => {
                    write_quoted(out, |out| record.write_committed_at(out));
                }
                Piece::Variable(Variable::Attributes) => record.write_attributes(view, out),
                Piece::Variable(Variable::Attribute(_))
                    if record.operation == Operation::Delete =>
                {
                    out.extend_from_slice(b"null");
                }
                Piece::Variable(Variable::Attribute(name)) => {
                    let is_there = attributes
                        .as_ref()
                        .is_some_and(|attributes| attributes.write(name, view, out));
                    if !is_there {
                        return Err(Unmappable::NoAttribute(name.clone()));
                    }
                }
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Template {
    /// Without the constants: secrets are among them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let variables = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(variable),
            Piece::Json(_) | Piece::Secret(_) => None,
        });
        f.write_str("Template ")?;
        f.debug_list().entries(variables).finish()
    }
}

#[derive(Default)]
struct Compiler {
    json: Vec<u8>,
    pieces: Vec<Piece>,
    aliases: Vec<(Box<str>, Box<str>)>,
}

impl Compiler {
    /// Adds a value; `member` is the nearest name above it.
    fn add(&mut self, shape: &Shape, member: Option<&str>) {
        match shape {
            Shape::Text(text) => write_string(&mut self.json, text),
            Shape::Integer(integer) => write_integer(&mut self.json, *integer),
            Shape::Number(number) => write_double(&mut self.json, *number),
            Shape::Flag(flag) => write_display(&mut self.json, flag),
            Shape::Secret(text) => self.push(Piece::Secret(text.as_str().into())),
            Shape::Variable(variable) => {
                if let (Variable::Attribute(attribute), Some(member)) = (variable, member)
                    && **attribute != *member
                {
                    self.aliases.push((member.into(), attribute.clone()));
                }
                self.push(Piece::Variable(variable.clone()));
            }
            Shape::List(items) => {
                self.json.push(b'[');
                for (position, item) in items.iter().enumerate() {
                    self.separate(position);
                    self.add(item, member);
                }
                self.json.push(b']');
            }
            Shape::Table(members) => {
                self.json.push(b'{');
                for (position, (name, value)) in members.iter().enumerate() {
                    self.separate(position);
                    write_string(&mut self.json, name);
                    self.json.push(b':');
                    self.add(value, Some(name));
                }
                self.json.push(b'}');
            }
        }
    }

    fn separate(&mut self, position: usize) {
        if position > 0 {
            self.json.push(b',');
        }
    }

    fn push(&mut self, piece: Piece) {
        self.end_json();
        self.pieces.push(piece);
    }

    fn end_json(&mut self) {
        if !self.json.is_empty() {
            let json = std::mem::take(&mut self.json);
            self.pieces.push(Piece::Json(json.into()));
        }
    }
}
