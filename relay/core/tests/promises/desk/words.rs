//! What consumers answer, and what an engine asks for, in a word.

use relay_core::engine::Action;
use relay_core::exchange::{Answer, End, ErrorClass};

pub fn answered(status: u16) -> End {
    answered_with(status, "")
}

pub fn answered_with(status: u16, body: &str) -> End {
    End::Answered(Answer {
        status,
        headers: vec![],
        body: body.into(),
        is_truncated: false,
    })
}

pub fn reset() -> End {
    End::Failed {
        class: ErrorClass::Reset,
        error: "reset".into(),
    }
}

pub fn asks_for_partition(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::LoadPartition { .. }))
}

pub fn asks_for_ledger(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::ReadLedger { .. }))
}

pub fn asks_for_parked(actions: &[Action]) -> bool {
    let asks = |action: &Action| matches!(action, Action::ReadParked { .. });
    actions.iter().any(asks)
}

pub fn sends(actions: &[Action]) -> bool {
    actions
        .iter()
        .any(|action| matches!(action, Action::Send { .. }))
}

/// The versions that requests carry.
pub fn versions_sent(actions: &[Action]) -> Vec<u64> {
    let version = |action: &Action| match action {
        Action::Send { http, .. } => {
            let body: serde_json::Value = serde_json::from_slice(&http.body).unwrap();
            body["version"].as_u64()
        }
        _ => None,
    };
    actions.iter().filter_map(version).collect()
}

pub fn pauses(actions: &[Action]) -> bool {
    let is_pause = |action: &Action| matches!(action, Action::Pause { .. });
    actions.iter().any(is_pause)
}

pub fn resumes(actions: &[Action]) -> bool {
    let is_resume = |action: &Action| matches!(action, Action::Resume { .. });
    actions.iter().any(is_resume)
}

/// The offset that is committed.
pub fn committed(actions: &[Action]) -> Option<i64> {
    let offset = |action: &Action| match action {
        Action::Commit { offset, .. } => Some(*offset),
        _ => None,
    };
    actions.iter().find_map(offset)
}
