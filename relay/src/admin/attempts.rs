//! `/attempts`: the log.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use relay_core::rows::Outcome;
use relay_core::time::Timestamp;
use serde_json::{Value, json};

use super::answer::ApiError;
use super::parameters::Parameters;
use super::{Context, shape};
use crate::store::AttemptFilter;

/// How far back the log is read when nobody says: partitions older than that need not be touched.
const SINCE_DEFAULT: Duration = Duration::from_secs(3_600);

pub async fn list(
    State(context): State<Arc<Context>>,
    mut parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let now = context.clock.now().wall;
    let words = Outcome::ALL.map(Outcome::as_str);
    let filter = AttemptFilter {
        destination: parameters.text("destination"),
        model: parameters.text("model"),
        key: parameters.text("key"),
        outcome: parameters.word("outcome", &words, Outcome::from_name),
        status: parameters.status(),
        error_class: parameters.error_class(),
        since: parameters
            .timestamp("since")
            .unwrap_or_else(|| now.checked_sub(SINCE_DEFAULT).unwrap_or(Timestamp::MIN)),
        until: parameters.timestamp("until"),
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    let page = context.store.attempts(&filter, cursor, limit).await?;
    let rows: Vec<_> = page.rows.iter().map(shape::attempt).collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Json(json!({ "attempts": rows, "next_cursor": next })))
}
