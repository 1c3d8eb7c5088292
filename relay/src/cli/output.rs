//! What a command prints. A reader that goes away (`| head`) ends the printing, not in an error.

use std::io::{self, ErrorKind, Write};

use serde_json::Value;

/// Results for stdout, messages for stderr.
#[derive(Debug)]
pub struct Output {
    /// One JSON object per result instead of text.
    is_json: bool,
    results: io::Stdout,
    messages: io::Stderr,
}

impl Output {
    pub fn new(is_json: bool) -> Self {
        Self {
            is_json,
            results: io::stdout(),
            messages: io::stderr(),
        }
    }

    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// A line of results.
    pub fn line(&mut self, text: &str) -> io::Result<()> {
        let written = writeln!(self.results, "{text}");
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }

    /// A result as one line of JSON.
    pub fn object(&mut self, object: &Value) -> io::Result<()> {
        self.line(&object.to_string())
    }

    /// A list: a table, or one object per line. Each row has the cells of the columns, and a remark or nothing.
    pub fn list(
        &mut self,
        rows: &[Value],
        columns: &[&str],
        cells: impl Fn(&Value) -> Vec<String>,
    ) -> io::Result<()> {
        if self.is_json {
            return rows.iter().try_for_each(|row| self.object(row));
        }
        for line in table(columns, &rows.iter().map(cells).collect::<Vec<_>>()) {
            self.line(&line)?;
        }
        Ok(())
    }

    /// A message for people.
    pub fn message(&mut self, text: &str) {
        // Nobody is left to tell when stderr is gone.
        let _ = writeln!(self.messages, "{text}");
    }
}

/// Left-aligned columns, two spaces apart. A cell beyond the columns is a remark, four spaces after the last one.
fn table(columns: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |position: usize| {
        rows.iter()
            .filter_map(|row| row.get(position))
            .map(|cell| cell.chars().count())
            .chain([columns[position].chars().count()])
            .max()
            .unwrap_or(0)
    };
    let last = columns.len().saturating_sub(1);
    let widths: Vec<_> = (0..last).map(width).collect();
    let head = columns.iter().map(|name| (*name).to_owned()).collect();
    std::iter::once(&head)
        .chain(rows)
        .map(|row| {
            let padded =
                row.iter()
                    .enumerate()
                    .map(|(position, cell)| match widths.get(position) {
                        Some(width) => format!("{cell:<width$}  "),
                        None if position == last => cell.clone(),
                        None => format!("    {cell}"),
                    });
            padded.collect::<String>().trim_end().to_owned()
        })
        .collect()
}

/// A cell: texts without quotes, nothing for null. What ends a line or drives a terminal is shown, not sent: keys and
/// errors come from elsewhere.
pub fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text
            .chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["billing".to_owned(), "0.4 s".to_owned()],
            vec![
                "fleet".to_owned(),
                "0".to_owned(),
                "connect refused".to_owned(),
            ],
        ];
        assert_eq!(
            table(&["NAME", "LAG"], &rows),
            [
                "NAME     LAG",
                "billing  0.4 s",
                "fleet    0    connect refused"
            ]
        );
    }

    #[test]
    fn a_cell_cannot_drive_the_terminal() {
        assert_eq!(cell(&Value::from("a\u{1b}[2J\nb")), "a\u{fffd}[2J\u{fffd}b");
        assert_eq!(cell(&Value::Null), "");
        assert_eq!(cell(&Value::from(12)), "12");
    }
}
