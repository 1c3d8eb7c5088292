//! Waiting for a condition, never for a time.

use std::future::Future;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

/// How often a condition is looked at. A process, a server or a table cannot say when it changes.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Waits until `condition` holds.
///
/// # Panics
///
/// After `limit`, naming what was waited for.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()));
}

/// Waits until `find` finds something.
///
/// # Panics
///
/// After `limit`, naming what was waited for.
pub fn wait_for<T>(what: &str, limit: Duration, mut find: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: not within {limit:?}");
        thread::sleep(LOOK_EVERY);
    }
}

/// Runs a future to its end, in a synchronous test as in an asynchronous one.
pub(crate) fn block_on<T: Send, F: Future<Output = T>>(start: impl FnOnce() -> F + Send) -> T {
    let run = || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(start())
    };
    thread::scope(|scope| scope.spawn(run).join()).expect("the future panicked")
}
