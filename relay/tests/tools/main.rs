//! The tools that the other tests stand on.
mod history;
mod services;
mod stub_server;
mod tcp_proxy;
