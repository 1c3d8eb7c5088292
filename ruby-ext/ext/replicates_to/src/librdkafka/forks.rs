//! Forks of this process: how often it was forked off, and what must not be going on meanwhile.
//!
//! A client's threads do not come along, so a child may not use, nor destroy, what it inherited. Nor is a lock of the C
//! library given back that one of them held just then: a child would wait for it for ever. Work that takes such locks
//! runs [`undisturbed`], and a fork waits for it.

use std::{
    ffi::c_int,
    sync::{
        Once,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

static GENERATION: AtomicU64 = AtomicU64::new(0);
static WATCH: Once = Once::new();
/// Pieces of work that a fork has to wait for.
static WORKING: AtomicUsize = AtomicUsize::new(0);
/// Forks that are going on; no work begins meanwhile.
static FORKING: AtomicUsize = AtomicUsize::new(0);

/// How long a fork waits. Names are looked up in much less unless the resolver is out of order, and then an application
/// that stands still is the greater harm.
const PATIENCE: Duration = Duration::from_secs(1);
/// Both sides look again after this. A condition variable would be one more lock for a child to inherit.
const GLANCE: Duration = Duration::from_micros(50);

/// Sees every fork from now on, `Process.daemon`'s too, at no cost per publish.
pub fn watch() {
    WATCH.call_once(|| {
        // SAFETY: the handlers are plain functions that stay loaded (Ruby unloads no extension), and after the fork they
        // do only what is allowed in a child: they write atomics.
        let refused: c_int = unsafe {
            libc::pthread_atfork(Some(before), Some(after_in_parent), Some(after_in_child))
        };
        assert_eq!(refused, 0, "pthread_atfork has no memory");
    });
}

/// Differs between a process and its child.
pub fn generation() -> u64 {
    GENERATION.load(SeqCst)
}

/// Runs `work` while no fork is going on.
pub fn undisturbed<T>(work: impl FnOnce() -> T) -> T {
    loop {
        WORKING.fetch_add(1, SeqCst);
        if FORKING.load(SeqCst) == 0 {
            break;
        }
        WORKING.fetch_sub(1, SeqCst);
        thread::sleep(GLANCE);
    }
    let answer = work();
    WORKING.fetch_sub(1, SeqCst);
    answer
}

unsafe extern "C" fn before() {
    FORKING.fetch_add(1, SeqCst);
    let deadline = Instant::now() + PATIENCE;
    while WORKING.load(SeqCst) > 0 && Instant::now() < deadline {
        thread::sleep(GLANCE);
    }
}

unsafe extern "C" fn after_in_parent() {
    FORKING.fetch_sub(1, SeqCst);
}

unsafe extern "C" fn after_in_child() {
    // Whoever worked or forked has stayed in the parent.
    WORKING.store(0, SeqCst);
    FORKING.store(0, SeqCst);
    GENERATION.fetch_add(1, SeqCst);
}
