//! How often this process was forked off: a client's threads do not come along, so a child may not use, nor destroy,
//! what it inherited.

use std::{
    ffi::c_int,
    sync::{
        Once,
        atomic::{AtomicU64, Ordering},
    },
};

static FORKS: AtomicU64 = AtomicU64::new(0);
static WATCH: Once = Once::new();

/// Counts forks from now on. Sees every fork, `Process.daemon`'s too, at no cost per publish.
pub fn watch() {
    WATCH.call_once(|| {
        // SAFETY: the handler is a plain function that stays loaded (Ruby unloads no extension) and does only what is
        // allowed in a child: one atomic addition.
        let refused: c_int = unsafe { libc::pthread_atfork(None, None, Some(count)) };
        assert_eq!(refused, 0, "pthread_atfork has no memory");
    });
}

/// Differs between a process and its child.
pub fn generation() -> u64 {
    FORKS.load(Ordering::Relaxed)
}

unsafe extern "C" fn count() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}
