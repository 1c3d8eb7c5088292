//! `method`: one for all records, or one for deletes and one for the rest.

use relay_core::settings::{Method, Methods};

use super::section::Section;
use super::tree::{Node, Value};

const METHODS: [(&str, Method); 4] = [
    ("POST", Method::Post),
    ("PUT", Method::Put),
    ("PATCH", Method::Patch),
    ("DELETE", Method::Delete),
];

pub(super) fn read(section: &Section<'_>) -> Option<Methods> {
    match section.required("method")? {
        Node {
            value: Value::Text(_),
            ..
        } => section.choice("method", &METHODS).map(Methods::all),
        Node {
            value: Value::Table(_),
            ..
        } => {
            let table = section.section("method");
            let delete = table.choice("delete", &METHODS);
            let default = table.choice("default", &METHODS);
            table.refuse_unknown_keys();
            Some(Methods {
                delete: delete?,
                default: default?,
            })
        }
        other => section.refuse(
            other,
            "a method, or a table of the methods delete and default",
        ),
    }
}
