//! What each key of the reference does, and where that is proven.
//!
//! - [`proofs`]: the test of every key there is
//! - [`process`]: keys of the process that no other test is about
mod process;
mod proofs;
