//! Order across the lives of a relay that is killed.
//!
//! What was answered but not durable when a replica was killed may be sent again, and so may what came before it. A
//! version is therefore too old only if a newer one had been acknowledged in the same life, or if it, or a newer one, was in
//! the ledger when the last life ended.

use std::collections::HashMap;

use crate::history::Exchange;
use crate::scene::Scene;
use crate::stub_server::StubServer;

/// The ends of a relay's lives: up to which arrival or answer each lasted, and what the ledger held then.
#[derive(Debug, Default)]
pub struct Lives {
    ends: Vec<(u64, HashMap<String, u64>)>,
}

impl Lives {
    /// To be called after each kill -9, before anything is started again.
    pub fn end(&mut self, endpoint: &StubServer, scene: &Scene) {
        // Before the requests are counted: other replicas go on, and what they ask for meanwhile is of the life that ends.
        let rows = scene.database.rows(
            "select source || '/' || model || '/' || key, version from ledger join streams on streams.id = stream_id",
        );
        let held = rows.into_iter().filter_map(|row| {
            let [key, version] = <[Option<String>; 2]>::try_from(row).ok()?;
            Some((key?, version?.parse().ok()?))
        });
        let last = endpoint
            .exchanges()
            .iter()
            .map(|exchange| exchange.answered.unwrap_or(exchange.arrived))
            .max();
        self.ends.push((last.unwrap_or(0), held.collect()));
    }

    /// Requests that carried an older version than one that was acknowledged before, or one that the ledger held.
    pub fn order_violations(&self, exchanges: &[Exchange]) -> Vec<String> {
        let mut answers: HashMap<String, Vec<&Exchange>> = HashMap::new();
        for exchange in exchanges
            .iter()
            .filter(|exchange| exchange.is_acknowledged())
        {
            answers
                .entry(exchange.request.stream_key())
                .or_default()
                .push(exchange);
        }
        let is_too_old = |exchange: &&Exchange| {
            let (key, version) = (exchange.request.stream_key(), exchange.request.version());
            let life = self
                .ends
                .iter()
                .rev()
                .find(|(end, _)| *end < exchange.arrived);
            let began = life.map_or(0, |(end, _)| *end);
            let held = life
                .and_then(|(_, ledger)| ledger.get(&key))
                .copied()
                .unwrap_or(0);
            // What a killed relay had asked may be answered after its death: it never heard of that.
            let newer = |other: &&Exchange| {
                let is_heard =
                    other.arrived > began && other.answered.is_some_and(|at| at < exchange.arrived);
                is_heard && other.request.version() > version
            };
            held >= version
                || answers
                    .get(&key)
                    .is_some_and(|of_key| of_key.iter().any(newer))
        };
        let describe = |exchange: &Exchange| {
            let request = &exchange.request;
            format!(
                "{} version {}, arrival {}",
                request.stream_key(),
                request.version(),
                exchange.arrived
            )
        };
        exchanges.iter().filter(is_too_old).map(describe).collect()
    }
}
