//! The body of a request: an envelope that the record comes in, or a template of the destination's own.

mod template;
#[cfg(test)]
mod tests;

use super::{Outgoing, Unmappable};
use crate::names::Operation;
use crate::record::View;
use crate::record::json::{write_display, write_quoted, write_string};
pub use template::{Shape, Template, VARIABLES, Variable};

/// What a route sends of a record.
#[derive(Debug, Clone)]
pub enum Body {
    /// The record.
    Record,
    /// Its attributes alone; nothing for a delete.
    Attributes,
    /// The record as the data of a `CloudEvent` in structured mode:
    /// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.
    CloudEvents,
    /// What the destination has thought of.
    Template(Template),
}

impl Body {
    /// The media type of a body that is not empty.
    pub fn content_type(&self) -> &'static str {
        match self {
            Self::Record | Self::Attributes | Self::Template(_) => "application/json",
            Self::CloudEvents => "application/cloudevents+json",
        }
    }

    /// The media type of a list of them.
    pub(super) fn batch_content_type(&self) -> &'static str {
        match self {
            Self::Record | Self::Attributes | Self::Template(_) => "application/json",
            Self::CloudEvents => "application/cloudevents-batch+json",
        }
    }

    /// What stands before and behind the items of a list of them.
    pub(super) fn brackets(&self) -> (&'static [u8], &'static [u8]) {
        match self {
            Self::Record | Self::Attributes | Self::Template(_) => (b"{\"records\":[", b"]}"),
            Self::CloudEvents => (b"[", b"]"),
        }
    }

    /// Appends the body of a delivery.
    pub(super) fn write(
        &self,
        delivery: &Outgoing<'_>,
        view: View<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), Unmappable> {
        let record = delivery.record;
        match self {
            Self::Record => record.write_json(&delivery.id, delivery.stream, view, out),
            Self::Attributes if record.operation == Operation::Delete => {}
            Self::Attributes => record.write_attributes(view, out),
            Self::CloudEvents => write_cloud_event(delivery, view, out),
            Self::Template(template) => return template.write(delivery, view, out),
        }
        Ok(())
    }

    /// Texts of the configuration that no log may show.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.template().into_iter().flat_map(Template::secrets)
    }

    /// Members that hold an attribute under another name than its own: member, attribute.
    pub fn aliases(&self) -> &[(Box<str>, Box<str>)] {
        self.template().map_or(&[], Template::aliases)
    }

    fn template(&self) -> Option<&Template> {
        match self {
            Self::Template(template) => Some(template),
            Self::Record | Self::Attributes | Self::CloudEvents => None,
        }
    }
}

/// `sequence` is as wide as the highest version, so that sequences compare as texts:
/// <https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/sequence.md>.
fn write_cloud_event(delivery: &Outgoing<'_>, view: View<'_>, out: &mut Vec<u8>) {
    let Outgoing {
        id, record, stream, ..
    } = delivery;
    let (source, model) = (&stream.source, &stream.model);
    let operation = record.operation.as_str();
    out.extend_from_slice(b"{\"specversion\":\"1.0\",\"id\":");
    write_quoted(out, |out| write_display(out, id));
    out.extend_from_slice(b",\"source\":");
    write_quoted(out, |out| {
        write_display(out, &format_args!("/replicates_to/{source}"));
    });
    out.extend_from_slice(b",\"type\":");
    write_quoted(out, |out| {
        write_display(out, &format_args!("{source}.{model}.{operation}"));
    });
    out.extend_from_slice(b",\"subject\":");
    write_string(out, &record.key);
    out.extend_from_slice(b",\"time\":");
    write_quoted(out, |out| record.write_committed_at(out));
    out.extend_from_slice(b",\"datacontenttype\":\"application/json\",\"sequence\":");
    write_quoted(out, |out| {
        write_display(out, &format_args!("{:016}", record.version));
    });
    out.extend_from_slice(b",\"data\":");
    record.write_json(id, stream, view, out);
    out.push(b'}');
}
