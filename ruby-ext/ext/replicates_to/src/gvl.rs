//! Ruby's global lock: what may be read while it is held, and how to wait without it.
//!
//! Encoding and enqueueing keep the lock: giving it up for each publish lets one busy thread hold every publish back
//! for a whole time slice. Only waiting gives it up, in slices of [`SLICE`], and between two slices Ruby's interrupts
//! are looked at, so Ctrl-C, `Timeout` and `Thread#kill` work.
#![expect(
    unsafe_code,
    reason = "Ruby's C functions for strings and for the lock are unsafe to call"
)]

use std::{
    any::Any,
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use magnus::{RString, Ruby};

/// The longest a waiting thread stays deaf to interrupts.
pub const SLICE: Duration = Duration::from_millis(50);

/// The bytes of a Ruby string.
pub fn bytes(string: RString) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(string.len());
    append(string, &mut bytes);
    bytes
}

/// What was sent to a waiting thread from outside, an exception of any class: it reaches its sender as it is.
#[derive(Debug)]
pub struct Interrupt(pub magnus::Error);

/// Appends the bytes of a Ruby string.
pub fn append(string: RString, bytes: &mut Vec<u8>) {
    // SAFETY: `RString` is not `Send`, so this thread holds the lock, and nothing between borrowing and copying calls
    // Ruby: the string can neither move nor change meanwhile.
    bytes.extend_from_slice(unsafe { string.as_slice() });
}

/// Runs `blocking` without the lock, then raises what was sent to this thread meanwhile.
///
/// `None` means that an interrupt was pending already, was handled without raising, and `blocking` has not run.
/// `blocking` is `Send`, which no Ruby value is: it cannot touch Ruby. It ends by itself within [`SLICE`].
pub fn released<T: Send>(
    ruby: &Ruby,
    blocking: impl FnOnce() -> T + Send,
) -> Result<Option<T>, Interrupt> {
    let mut call = Call {
        blocking: Some(blocking),
        answer: None,
    };
    // SAFETY: `run` gets the only pointer to `call`, which outlives the call. The variant ending in 2 never raises,
    // so no Rust frame is skipped; interrupts are raised below, where they arrive as an `Err`.
    unsafe {
        rb_sys::rb_thread_call_without_gvl2(
            Some(runner(&call)),
            ptr::from_mut(&mut call).cast(),
            Some(unblock),
            ptr::null_mut(),
        );
    }
    match call.answer {
        Some(Err(panic)) => resume_unwind(panic),
        Some(Ok(answer)) => interrupts(ruby).map(|()| Some(answer)),
        None => interrupts(ruby).map(|()| None),
    }
}

/// Repeats `attempt` without the lock, slice by slice, until it answers or `deadline` is over.
pub fn wait<T: Send>(
    ruby: &Ruby,
    deadline: Instant,
    mut attempt: impl FnMut(Duration) -> Option<T> + Send,
) -> Result<Option<T>, Interrupt> {
    loop {
        let slice = deadline
            .saturating_duration_since(Instant::now())
            .min(SLICE);
        if let Some(Some(answer)) = released(ruby, || attempt(slice))? {
            return Ok(Some(answer));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
    }
}

/// Runs `job`, which may block for long, on a thread of its own and waits for it. A caller that is interrupted or
/// whose time is over leaves the thread behind; it ends when the job does.
pub fn wait_aside<T: Send + 'static>(
    ruby: &Ruby,
    deadline: Instant,
    job: impl FnOnce() -> T + Send + 'static,
) -> Result<Option<T>, Interrupt> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        // A caller that has left does not want the answer any more.
        let _ = sender.send(job());
    });
    wait(ruby, deadline, move |slice| {
        receiver.recv_timeout(slice).ok()
    })
}

fn interrupts(ruby: &Ruby) -> Result<(), Interrupt> {
    ruby.thread_check_ints().map_err(Interrupt)
}

struct Call<T, F> {
    blocking: Option<F>,
    answer: Option<Result<T, Box<dyn Any + Send>>>,
}

/// [`run`] for the types of this call.
fn runner<T, F: FnOnce() -> T>(_: &Call<T, F>) -> unsafe extern "C" fn(*mut c_void) -> *mut c_void {
    run::<T, F>
}

unsafe extern "C" fn run<T, F: FnOnce() -> T>(call: *mut c_void) -> *mut c_void {
    // SAFETY: `released` passes a pointer to its own `Call<T, F>` and waits for this function.
    let call = unsafe { &mut *call.cast::<Call<T, F>>() };
    if let Some(blocking) = call.blocking.take() {
        // A panic may not pass through Ruby's C frames.
        call.answer = Some(catch_unwind(AssertUnwindSafe(blocking)));
    }
    ptr::null_mut()
}

/// Nothing to do: every wait ends within a slice. Without this function Ruby would not let anybody interrupt it.
unsafe extern "C" fn unblock(_: *mut c_void) {}
