//! The records of a request: one, which its headers tell of, or those of a batch; and what was said of each.

use relay_test_support::history::Exchange;
use relay_test_support::stub_server::Request;
use serde_json::Value;

/// A record as an endpoint gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    pub id: String,
    /// Source, model and key.
    pub stream_key: String,
    pub version: u64,
    pub is_delete: bool,
    pub attributes: Value,
}

impl Carried {
    /// All of a request, in their order.
    pub fn all_of(request: &Request) -> Vec<Self> {
        if batch_of(request).is_none() {
            return vec![Self {
                id: request.id().to_owned(),
                stream_key: request.stream_key(),
                version: request.version(),
                is_delete: request.header("replicates-to-operation") == "delete",
                attributes: request.json()["attributes"].take(),
            }];
        }
        let Value::Array(records) = request.json()["records"].take() else {
            return vec![];
        };
        records.into_iter().filter_map(Self::of_batch).collect()
    }

    fn of_batch(mut record: Value) -> Option<Self> {
        let text = |name: &str| record[name].as_str().map(str::to_owned);
        let (source, model, key) = (text("source")?, text("model")?, text("key")?);
        Some(Self {
            id: text("id")?,
            stream_key: format!("{source}/{model}/{key}"),
            version: record["version"].as_u64()?,
            is_delete: text("operation")? == "delete",
            attributes: record["attributes"].take(),
        })
    }

    /// The key of its row.
    pub fn key(&self) -> &str {
        self.stream_key.rsplit('/').next().unwrap_or_default()
    }
}

/// The name of a batch; none for a request that is none.
pub fn batch_of(request: &Request) -> Option<&str> {
    Some(request.id()).filter(|id| id.starts_with("bat_"))
}

/// Whether an answer acknowledges a record. Of a batch it must be readable, and name the record if it names any.
pub fn is_acknowledged(exchange: &Exchange, id: &str) -> bool {
    if !exchange.is_acknowledged() || batch_of(&exchange.request).is_none() {
        return exchange.is_acknowledged();
    }
    let Ok(said) = serde_json::from_slice::<Value>(&exchange.said) else {
        return false;
    };
    said["results"].as_array().is_some_and(|results| {
        let is_good = |result: &Value| {
            result["id"] == id && matches!(result["status"].as_str(), Some("applied" | "stale"))
        };
        results.iter().any(is_good)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Instant;

    use super::*;

    fn answered(id: &str, body: &str, said: &str) -> Exchange {
        Exchange {
            request: Request {
                method: "POST".into(),
                path: "/".into(),
                headers: HashMap::from([("webhook-id".to_owned(), id.to_owned())]),
                body: body.into(),
                received_at: Instant::now(),
                attempt: 1,
            },
            status: Some(200),
            said: said.into(),
            arrived: 1,
            answered: Some(2),
            answered_at: None,
        }
    }

    #[test]
    fn of_a_batch_only_those_are_acknowledged_that_a_readable_answer_names() {
        let said = r#"{"results":[{"id":"a","status":"applied"},{"id":"b","status":"retry"}]}"#;
        let exchange = answered("bat_1", "", said);
        let are_acknowledged = ["a", "b", "c"].map(|id| is_acknowledged(&exchange, id));
        assert_eq!(are_acknowledged, [true, false, false]);
        assert!(!is_acknowledged(&answered("bat_1", "", "{\"resul"), "a"));
        assert!(is_acknowledged(&answered("dlv_1", "", "{\"resul"), "dlv_1"));
    }

    #[test]
    fn the_records_of_a_batch_are_read_from_its_body() {
        let body = r#"{"records":[{"id":"dlv_1","source":"s","model":"M","key":"7","version":3,"operation":"delete"}]}"#;
        let records = Carried::all_of(&answered("bat_1", body, "").request);
        let expected = Carried {
            id: "dlv_1".into(),
            stream_key: "s/M/7".into(),
            version: 3,
            is_delete: true,
            attributes: Value::Null,
        };
        assert_eq!(records, [expected]);
    }
}
