//! The attributes of a record, found by name.

use super::Record;
use super::field::Field;
use super::json::{View, write_field};

/// Attributes sorted by the bytes of their names.
#[derive(Debug)]
pub struct Attributes<'a>(Vec<Field<'a>>);

impl Record {
    /// All attributes; none of a delete.
    pub fn attributes(&self) -> Attributes<'_> {
        let mut fields: Vec<_> = self.fields().collect();
        if !self.is_sorted {
            fields.sort_unstable_by_key(|field| field.name);
        }
        Attributes(fields)
    }
}

impl<'a> Attributes<'a> {
    pub(super) fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        self.0.iter().copied()
    }

    /// Appends the value of an attribute. False when there is none of that name.
    pub fn write(&self, name: &str, view: View<'_>, out: &mut Vec<u8>) -> bool {
        let found = self.0.binary_search_by(|field| field.name.cmp(name));
        if let Ok(position) = found {
            write_field(out, &self.0[position], view);
        }
        found.is_ok()
    }
}
