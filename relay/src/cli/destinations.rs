//! `destinations`: how each one is doing; pausing one.

use serde_json::{Value, json};

use super::arguments::{PauseAction, RelayArguments};
use super::client::{Client, Query, segment};
use super::failure::Failure;
use super::output::{Output, cell};

const COLUMNS: [&str; 8] = [
    "NAME",
    "STATE",
    "LAG",
    "IN FLIGHT",
    "PARKED",
    "EXHAUSTED",
    "REJECTED",
    "QUARANTINED",
];

pub fn run(name: Option<&str>, relay: &RelayArguments, output: &mut Output) -> Result<(), Failure> {
    let client = Client::new(relay);
    let rows = if let Some(name) = name {
        let path = format!("/destinations/{}", segment(name));
        vec![client.read(&path, &Query::new())?]
    } else {
        let mut answer = client.read("/destinations", &Query::new())?;
        serde_json::from_value(answer["destinations"].take()).unwrap_or_default()
    };
    output.list(&rows, &COLUMNS, cells)?;
    Ok(())
}

/// Pauses a destination, or lets it go on.
pub fn change(
    name: &str,
    action: PauseAction,
    reason: Option<&str>,
    relay: &RelayArguments,
    output: &mut Output,
) -> Result<(), Failure> {
    let (action, words) = match action {
        PauseAction::Pause => (
            "pause",
            "is paused: nothing is sent, and its records wait in Kafka",
        ),
        PauseAction::Resume => ("resume", "goes on"),
    };
    let path = format!("/destinations/{}/{action}", segment(name));
    let answer = Client::new(relay).write(&path, &json!({ "reason": reason }))?;
    if output.is_json() {
        output.object(&answer)?;
    } else {
        output.line(&format!("{name} {words}"))?;
    }
    Ok(())
}

fn cells(row: &Value) -> Vec<String> {
    let undelivered = &row["undelivered"];
    let mut cells = vec![
        cell(&row["name"]),
        cell(&row["state"]),
        lag(row["lag_seconds"].as_f64().unwrap_or(0.0)),
        cell(&row["in_flight"]),
        cell(&undelivered["parked"]),
        cell(&undelivered["exhausted"]),
        cell(&undelivered["rejected"]),
        cell(&undelivered["quarantined"]),
    ];
    if !row["held_reason"].is_null() {
        cells.push(cell(&row["held_reason"]));
    }
    cells
}

/// Tenths matter below ten seconds only.
fn lag(seconds: f64) -> String {
    if seconds < 10.0 {
        format!("{seconds:.1} s")
    } else {
        format!("{seconds:.0} s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_shown_as_people_say_it() {
        assert_eq!(lag(0.41), "0.4 s");
        assert_eq!(lag(184.2), "184 s");
        assert_eq!(lag(0.0), "0.0 s");
    }
}
