//! The partitions of the log: made ahead, dropped when they have ended.

use std::sync::Arc;
use std::time::Duration;

use tracing::{error, info};

use crate::current::Reader;
use crate::metrics::Metrics;
use crate::store::Store;

/// How often the log's partitions are looked after, at least and at most.
const UPKEEP_INTERVAL_MIN: Duration = Duration::from_secs(5);
const UPKEEP_INTERVAL_MAX: Duration = Duration::from_secs(600);

/// Keeps the log's partitions: made ahead, dropped when they have ended. A longer retention needs more of them at once.
pub(super) async fn look_after(
    store: Arc<dyn Store>,
    partition_width: Duration,
    mut current: Reader,
    metrics: Arc<Metrics>,
) {
    let interval = (partition_width / 4).clamp(UPKEEP_INTERVAL_MIN, UPKEEP_INTERVAL_MAX);
    loop {
        let reach = longest_retention(&current);
        match store.maintain().await {
            Ok(done) => {
                metrics.upkeep(&done);
                if done.attached > 0 || done.dropped > 0 {
                    info!(
                        attached = done.attached,
                        dropped = done.dropped,
                        "partitions of the log"
                    );
                }
            }
            Err(error) => error!(%error, "the partitions of the log cannot be looked after"),
        }
        let longer = current.wait_for(|current| current.config.longest_retention > reach);
        // In time, or since the configuration has ended, which ends this thread as well.
        if let Ok(Err(_)) = tokio::time::timeout(interval, longer).await {
            return;
        }
    }
}

fn longest_retention(current: &Reader) -> Duration {
    current.borrow().config.longest_retention
}
