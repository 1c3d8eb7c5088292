//! `failures`: what is undelivered, and why.

use serde_json::{Value, json};

use super::arguments::{FailureFilters, RelayArguments};
use super::client::{Client, Query, moment, query, segment};
use super::failure::Failure;
use super::output::{Output, cell};
use super::tail;

const COLUMNS: [&str; 9] = [
    "ID",
    "DESTINATION",
    "MODEL",
    "KEY",
    "STATE",
    "ATTEMPTS",
    "STATUS",
    "LAST FAILED",
    "ERROR",
];

const LIMIT_DEFAULT: u32 = 50;

/// The most that the API gives at once.
const PAGE_MAX: u32 = 200;

pub fn run(
    id: Option<&str>,
    filters: &FailureFilters,
    relay: &RelayArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let client = Client::new(relay);
    match id {
        Some(id) => show(&client, id, output),
        None => list(&client, filters, output),
    }
}

fn list(client: &Client<'_>, filters: &FailureFilters, output: &mut Output) -> Result<(), Failure> {
    let mut left = filters.limit.unwrap_or(LIMIT_DEFAULT);
    if left == 0 {
        return Err(Failure::Usage(
            "--limit must be at least 1, not 0".to_owned(),
        ));
    }
    let wanted = query(vec![
        ("destination", filters.destination.clone()),
        ("model", filters.model.clone()),
        ("key", filters.key.clone()),
        ("state", filters.state.clone()),
        ("error_class", filters.error_class.clone()),
        ("status", filters.status.clone()),
        ("since", moment(filters.since.as_ref())),
        ("until", moment(filters.until.as_ref())),
    ]);
    let mut rows: Vec<Value> = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = wanted.clone();
        query.push(("limit", left.min(PAGE_MAX).to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let mut page = client.read("/deliveries", &query)?;
        let Value::Array(found) = page["deliveries"].take() else {
            break;
        };
        left = left.saturating_sub(u32::try_from(found.len()).unwrap_or(u32::MAX));
        rows.extend(found);
        cursor = page["next_cursor"].as_str().map(str::to_owned);
        if left == 0 || cursor.is_none() {
            break;
        }
    }
    output.list(&rows, &COLUMNS, cells)?;
    Ok(())
}

fn cells(row: &Value) -> Vec<String> {
    [
        "id",
        "destination",
        "model",
        "key",
        "state",
        "attempts",
        "last_status",
        "last_failed_at",
        "error",
    ]
    .map(|name| cell(&row[name]))
    .into()
}

fn show(client: &Client<'_>, id: &str, output: &mut Output) -> Result<(), Failure> {
    let path = format!("/deliveries/{}", segment(id));
    let delivery = client.read(&path, &Query::new())?;
    let mut answer = client.read(&format!("{path}/attempts"), &Query::new())?;
    let attempts: Vec<Value> =
        serde_json::from_value(answer["attempts"].take()).unwrap_or_default();
    if output.is_json() {
        output.object(&json!({ "delivery": delivery, "attempts": attempts }))?;
        return Ok(());
    }
    for (name, value) in delivery.as_object().into_iter().flatten() {
        if !value.is_null() {
            output.line(&format!("{name:<16}{}", cell(value)))?;
        }
    }
    output.line("")?;
    tail::print(&attempts, output)
}
