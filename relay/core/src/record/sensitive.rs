//! What must not be seen in a log: the texts by which a consumer could echo a sensitive value.

use super::Record;
use super::field::Field;
use super::json::plain_text;
use super::value::Value;

impl Field<'_> {
    /// Shown as `***`: declared sensitive, or named by the configuration.
    pub fn is_masked(&self, mask: &[String]) -> bool {
        self.is_sensitive || mask.iter().any(|name| name == self.name)
    }
}

impl Record {
    /// Whether a log must show this record otherwise than it was sent.
    pub fn has_masked(&self, mask: &[String]) -> bool {
        self.masked(mask).next().is_some()
    }

    /// Names of the attributes that logs show as `***`, besides those that `mask` names.
    pub fn sensitive_names(&self) -> impl Iterator<Item = &str> {
        self.masked(&[]).map(|field| field.name)
    }

    /// The texts of all masked values as JSON shows them, one for each scalar. Null, true and false say too little to be
    /// recognised; they are masked by their attribute's name alone.
    pub fn sensitive_texts(&self, mask: &[String]) -> Vec<String> {
        let mut texts = Vec::new();
        for field in self.masked(mask) {
            add_texts(&mut texts, &field.value);
        }
        texts
    }

    fn masked(&self, mask: &[String]) -> impl Iterator<Item = Field<'_>> {
        let fields = (self.has_sensitive || !mask.is_empty()).then(|| self.fields());
        fields
            .into_iter()
            .flatten()
            .filter(|field| field.is_masked(mask))
    }
}

fn add_texts(texts: &mut Vec<String>, value: &Value<'_>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Json(text) => add_json_scalars(texts, text),
        Value::List(list) => list.items().for_each(|item| add_texts(texts, &item)),
        Value::Bytes(bytes) => {
            // Without padding, which an echo may have lost.
            add(texts, plain_text(value).trim_end_matches('='));
            if let Ok(text) = std::str::from_utf8(bytes) {
                add(texts, text);
            }
        }
        Value::Decimal(text) => {
            add(texts, text);
            // A consumer that stores it as a number echoes 10.50 as 10.5.
            if text.contains('.') {
                add(texts, text.trim_end_matches('0').trim_end_matches('.'));
            }
        }
        Value::Int64(_)
        | Value::String(_)
        | Value::Timestamp { .. }
        | Value::Date(_)
        | Value::TimeOfDay(_)
        | Value::Double(_) => add(texts, &plain_text(value)),
    }
}

/// Strings and numbers of a valid JSON text, names of members left out.
fn add_json_scalars(texts: &mut Vec<String>, json: &str) {
    let mut rest = json;
    while let Some(start) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = &rest[start..];
        let end = if rest.starts_with('"') {
            string_end(rest)
        } else {
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c)))
                .unwrap_or(rest.len())
        };
        let token = &rest[..end];
        rest = &rest[end..];
        let is_name = rest.trim_start().starts_with(':');
        if !is_name {
            // A lone surrogate is JSON, but no text: then the string stands for itself, escapes and all.
            let decoded = serde_json::from_str::<String>(token);
            add(texts, decoded.as_deref().unwrap_or(token.trim_matches('"')));
        }
    }
}

/// Where the string at the start of a valid JSON text ends, quotes included.
fn string_end(json: &str) -> usize {
    let mut is_escaped = false;
    for (position, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return position + 1,
            _ => {}
        }
    }
    json.len()
}

fn add(texts: &mut Vec<String>, text: &str) {
    let text = text.trim();
    if !text.is_empty() && !texts.iter().any(|known| known == text) {
        texts.push(text.to_owned());
    }
}
