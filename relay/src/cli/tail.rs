//! `tail`: the last attempts of the log, the newest at the end.

use serde_json::Value;

use super::arguments::{AttemptFilters, RelayArguments};
use super::client::{Client, moment, query};
use super::failure::Failure;
use super::output::{Output, cell};

const COLUMNS: [&str; 10] = [
    "TIME",
    "DESTINATION",
    "MODEL",
    "KEY",
    "VERSION",
    "ATTEMPT",
    "OUTCOME",
    "STATUS",
    "MS",
    "ERROR",
];

const ROWS: &str = "10";

pub fn run(
    filters: &AttemptFilters,
    relay: &RelayArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let query = query(vec![
        ("destination", filters.destination.clone()),
        ("model", filters.model.clone()),
        ("key", filters.key.clone()),
        ("outcome", filters.outcome.clone()),
        ("error_class", filters.error_class.clone()),
        ("status", filters.status.clone()),
        ("since", moment(filters.since.as_ref())),
        ("until", moment(filters.until.as_ref())),
        ("limit", Some(ROWS.to_owned())),
    ]);
    let mut answer = Client::new(relay).read("/attempts", &query)?;
    let mut attempts: Vec<Value> =
        serde_json::from_value(answer["attempts"].take()).unwrap_or_default();
    attempts.reverse();
    print(&attempts, output)
}

/// Attempts as a table, or one object per line.
pub fn print(attempts: &[Value], output: &mut Output) -> Result<(), Failure> {
    output.list(attempts, &COLUMNS, cells)?;
    Ok(())
}

fn cells(row: &Value) -> Vec<String> {
    let milliseconds = row["timings"]["total_ms"]
        .as_f64()
        .map_or_else(String::new, |ms| format!("{ms:.0}"));
    let mut cells: Vec<_> = [
        "attempted_at",
        "destination",
        "model",
        "key",
        "version",
        "attempt",
        "outcome",
        "status",
    ]
    .map(|name| cell(&row[name]))
    .into();
    cells.push(milliseconds);
    cells.push(cell(&row["error"]));
    cells
}
