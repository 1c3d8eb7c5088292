//! The cable: held, held in one direction, cut.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use relay_test_support::raw_server::RawServer;
use relay_test_support::tcp_proxy::{Flow, TcpProxy};

const PATIENCE: Duration = Duration::from_secs(10);
const MOMENT: Duration = Duration::from_millis(200);

/// A server that repeats what it hears, and tells the test too.
fn echo() -> (RawServer, Receiver<u8>) {
    let (tell, heard) = channel();
    let server = RawServer::start(move |conversation, _| {
        let mut stream = conversation.into_stream();
        let mut byte = [0];
        while stream.read_exact(&mut byte).is_ok() {
            tell.send(byte[0]).unwrap();
            if stream.write_all(&byte).is_err() {
                return;
            }
        }
    });
    (server, heard)
}

fn client(proxy: &TcpProxy) -> TcpStream {
    let stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// True when the other side has ended the connection, politely or not.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

#[test]
fn bytes_pass() {
    let (server, _heard) = echo();
    let proxy = TcpProxy::start(server.address());
    let mut stream = client(&proxy);
    stream.write_all(b"a").unwrap();
    let mut byte = [0];
    stream.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"a");
}

#[test]
fn held_bytes_pass_later() {
    let (server, heard) = echo();
    let proxy = TcpProxy::start(server.address());
    let mut stream = client(&proxy);
    proxy.set(Flow::Hold);
    stream.write_all(b"a").unwrap();
    assert!(heard.recv_timeout(MOMENT).is_err());
    proxy.set(Flow::Pass);
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(b'a'));
    stream.read_exact(&mut [0]).unwrap();
}

#[test]
fn held_answers_leave_the_work_done() {
    let (server, heard) = echo();
    let proxy = TcpProxy::start(server.address());
    let mut stream = client(&proxy);
    proxy.set(Flow::HoldAnswers);
    stream.write_all(b"a").unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(b'a'));
    stream.set_read_timeout(Some(MOMENT)).unwrap();
    assert!(stream.read_exact(&mut [0]).is_err());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    proxy.set(Flow::Pass);
    stream.read_exact(&mut [0]).unwrap();
}

#[test]
fn a_cut_cable_closes_what_is_open_and_what_comes() {
    let (server, heard) = echo();
    let proxy = TcpProxy::start(server.address());
    let mut stream = client(&proxy);
    stream.write_all(b"a").unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(b'a'));
    stream.read_exact(&mut [0]).unwrap();
    proxy.set(Flow::Cut);
    assert!(is_closed(&mut stream));
    assert!(is_closed(&mut client(&proxy)));
    proxy.set(Flow::Pass);
    client(&proxy).write_all(b"b").unwrap();
    assert_eq!(heard.recv_timeout(PATIENCE), Ok(b'b'));
}

#[test]
fn a_url_is_led_through_the_proxy() {
    let (server, _heard) = echo();
    let proxy = TcpProxy::start(server.address());
    let url = proxy.url("postgres://ann@127.0.0.1:5432/cars");
    assert_eq!(url, format!("postgres://ann@{}/cars", proxy.address()));
}
