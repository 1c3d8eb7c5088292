//! What each key of the reference does, and where that is proven.
//!
//! - [`proofs`]: the test of every key there is
//! - [`file`](mod@file): what a file says is what is set
//! - [`process`]: keys of the process that no other test is about
mod file;
mod process;
mod proofs;
