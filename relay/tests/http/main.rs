//! The HTTP edge against servers that answer well, badly, late and not at all.
mod answers;
mod certificates;
mod edge;
mod egress;
mod failures;
mod http2;
mod http2_server;
mod identity;
mod keep_alive;
mod lease;
mod limits;
mod moving_names;
mod served_anew;
mod tls;
mod tokens;
