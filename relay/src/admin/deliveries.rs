//! `/deliveries`: undelivered records, and single deliveries as long as the log knows them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use relay_core::names::DeliveryId;
use serde_json::{Value, json};

use super::answer::ApiError;
use super::parameters::Parameters;
use super::{Context, shape};
use crate::store::DeliveryFilter;

const STATES: [&str; 4] = ["parked", "exhausted", "rejected", "quarantined"];

pub async fn list(
    State(context): State<Arc<Context>>,
    mut parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let filter = DeliveryFilter {
        destination: parameters.text("destination"),
        model: parameters.text("model"),
        key: parameters.text("key"),
        state: parameters.word("state", &STATES, |text| {
            STATES.contains(&text).then(|| text.to_owned())
        }),
        error_class: parameters.error_class(),
        status: parameters.status(),
        since: parameters.timestamp("since"),
        until: parameters.timestamp("until"),
    };
    let (limit, cursor) = (parameters.limit(), parameters.cursor());
    parameters.finish()?;
    let page = context.store.deliveries(&filter, cursor, limit).await?;
    let rows: Vec<_> = page
        .rows
        .iter()
        .map(|row| shape::delivery(row, &context.config()))
        .collect();
    let next = page.next.map(|cursor| cursor.to_string());
    Ok(Json(json!({ "deliveries": rows, "next_cursor": next })))
}

pub async fn show(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    parameters.finish()?;
    let id = delivery_id(&id)?;
    match context.store.delivery(id).await? {
        Some(delivery) => Ok(Json(shape::delivery(&delivery, &context.config()))),
        None => Err(unknown(id)),
    }
}

pub async fn attempts(
    State(context): State<Arc<Context>>,
    Path(id): Path<String>,
    mut parameters: Parameters,
) -> Result<Json<Value>, ApiError> {
    let limit = parameters.limit();
    parameters.finish()?;
    let id = delivery_id(&id)?;
    let rows = context.store.delivery_attempts(id, limit).await?;
    if rows.is_empty() && context.store.delivery(id).await?.is_none() {
        return Err(unknown(id));
    }
    let rows: Vec<_> = rows.iter().map(shape::attempt).collect();
    Ok(Json(json!({ "attempts": rows, "next_cursor": null })))
}

/// Reads the id of a path.
pub fn delivery_id(text: &str) -> Result<DeliveryId, ApiError> {
    text.parse()
        .map_err(|error: relay_core::names::NotADeliveryId| {
            ApiError::invalid(vec![error.to_string()])
        })
}

/// The answer for a delivery that nobody knows.
pub fn unknown(id: DeliveryId) -> ApiError {
    ApiError::not_found(format!(
        "{id} is neither undelivered nor in the log any more"
    ))
}
