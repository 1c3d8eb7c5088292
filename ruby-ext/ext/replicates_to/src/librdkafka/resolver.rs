//! Looks brokers up, in librdkafka's stead, so that no fork happens in the middle: `getaddrinfo` takes a lock that glibc
//! does not give back to a child, in which then nobody could look up anything.

use std::ffi::{c_char, c_int, c_void};

use rdkafka_sys::bindings::rd_kafka_conf_t;

use super::forks::undisturbed;

type Resolve = unsafe extern "C" fn(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    found: *mut *mut libc::addrinfo,
    opaque: *mut c_void,
) -> c_int;

unsafe extern "C" {
    /// Part of librdkafka's interface that its Rust bindings leave out.
    fn rd_kafka_conf_set_resolve_cb(conf: *mut rd_kafka_conf_t, resolve: Option<Resolve>);
}

/// # Safety
///
/// `conf` must be a live configuration.
pub(super) unsafe fn install(conf: *mut rd_kafka_conf_t) {
    // SAFETY: as the caller promises; the callback is a plain function.
    unsafe { rd_kafka_conf_set_resolve_cb(conf, Some(resolve)) };
}

/// Called on librdkafka's threads: without a name it shall free what it found before.
unsafe extern "C" fn resolve(
    node: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    found: *mut *mut libc::addrinfo,
    _: *mut c_void,
) -> c_int {
    if node.is_null() && service.is_null() && hints.is_null() {
        // SAFETY: librdkafka passes what `getaddrinfo` found, once.
        unsafe { libc::freeaddrinfo(*found) };
        return 0;
    }
    // SAFETY: librdkafka passes what `getaddrinfo` takes.
    undisturbed(|| unsafe { libc::getaddrinfo(node, service, hints, found) })
}
