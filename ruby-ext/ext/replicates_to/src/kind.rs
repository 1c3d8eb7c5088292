//! What a field's values are, as the schema's maker says it: `:integer`, `[:list, :string]`.

use magnus::{RArray, Symbol, Value, prelude::*};

use crate::failure::Failure;

/// The kind of a field's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    Bool,
    Integer,
    String,
    Bytes,
    Decimal,
    Float,
    Date,
    TimeOfDay,
    Timestamp,
    Json,
    /// The value's class decides.
    Dynamic,
    List(Box<Kind>),
}

impl Kind {
    /// Reads a kind from Ruby.
    pub fn from_ruby(value: Value) -> Result<Self, Failure> {
        let unknown = || Failure::Misuse(format!("unknown kind {}", value.inspect()));
        if let Some(symbol) = Symbol::from_value(value) {
            return Self::named(&symbol.name()?).ok_or_else(unknown);
        }
        match RArray::from_value(value) {
            Some(list) if list.len() == 2 => {
                let is_list = Symbol::from_value(list.entry(0)?)
                    .is_some_and(|name| name.name().is_ok_and(|name| name == "list"));
                if is_list {
                    Ok(Self::List(Box::new(Self::from_ruby(list.entry(1)?)?)))
                } else {
                    Err(unknown())
                }
            }
            _ => Err(unknown()),
        }
    }

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bool" => Self::Bool,
            "integer" => Self::Integer,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "decimal" => Self::Decimal,
            "float" => Self::Float,
            "date" => Self::Date,
            "time_of_day" => Self::TimeOfDay,
            "timestamp" => Self::Timestamp,
            "json" => Self::Json,
            "dynamic" => Self::Dynamic,
            _ => return None,
        })
    }

    /// How a message calls it, with its article.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Integer => "an integer",
            Self::String => "a string",
            Self::Bytes => "a byte string",
            Self::Decimal => "a decimal",
            Self::Float => "a float",
            Self::Date => "a date",
            Self::TimeOfDay => "a time of day",
            Self::Timestamp => "a timestamp",
            Self::Json => "JSON text",
            Self::Dynamic => "a value with a wire type",
            Self::List(_) => "a list",
        }
    }
}
