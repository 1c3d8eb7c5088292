//! The stub endpoint: what it remembers, and how it goes away.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use relay_test_support::stub_server::{Answer, StubServer};

const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a delivery as the relay would; what came back, empty when the connection was cut.
fn deliver(server: &StubServer, key: &str, version: u64) -> std::io::Result<String> {
    let address = server
        .url()
        .replace("http://", "")
        .replace("/replicates_to", "");
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST /replicates_to HTTP/1.1\r\nwebhook-id: dlv_{key}_{version}\r\nreplicates-to-source: monolith\r\n\
         replicates-to-model: Vehicle\r\nreplicates-to-key: {key}\r\nreplicates-to-version: {version}\r\n\
         connection: close\r\ncontent-length: 2\r\n\r\n{{}}"
    )?;
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn a_program_answers_by_key_and_attempt() {
    let server = StubServer::start(|request| match (request.key(), request.attempt) {
        ("7", 1) => Answer::status(500).body("broken"),
        ("8", _) => Answer::cut(),
        _ => Answer::ok(),
    });
    assert!(
        deliver(&server, "7", 1)
            .unwrap()
            .starts_with("HTTP/1.1 500 ")
    );
    assert!(
        deliver(&server, "7", 1)
            .unwrap()
            .starts_with("HTTP/1.1 200 ")
    );
    assert_eq!(deliver(&server, "8", 3).unwrap(), "");

    let exchanges = server.exchanges();
    let seen: Vec<_> = exchanges
        .iter()
        .map(|exchange| {
            (
                exchange.request.version(),
                exchange.request.attempt,
                exchange.status,
            )
        })
        .collect();
    assert_eq!(seen, [(1, 1, Some(500)), (1, 2, Some(200)), (3, 1, None)]);
    assert_eq!(exchanges[0].request.stream_key(), "monolith/Vehicle/7");
}

#[test]
fn a_server_that_is_down_refuses_and_comes_back_at_its_port() {
    let mut server = StubServer::accepting();
    deliver(&server, "1", 1).unwrap();
    server.go_down();
    let refused = deliver(&server, "1", 2).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    server.come_up();
    deliver(&server, "1", 3).unwrap();
    let versions: Vec<_> = server
        .exchanges()
        .iter()
        .map(|e| e.request.version())
        .collect();
    assert_eq!(versions, [1, 3]);
}

#[test]
fn going_down_cuts_what_is_under_way() {
    let mut server = StubServer::start(|_| Answer::ok().after(Duration::from_millis(200)));
    std::thread::scope(|scope| {
        let url = server.url();
        let address = url
            .trim_start_matches("http://")
            .trim_end_matches("/replicates_to")
            .to_owned();
        let waiting = scope.spawn(move || {
            let mut stream = TcpStream::connect(address).unwrap();
            stream
                .write_all(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            let mut answer = String::new();
            stream
                .read_to_string(&mut answer)
                .map(|_| answer)
                .unwrap_or_default()
        });
        server.wait_until("the request", PATIENCE, |exchanges| exchanges.len() == 1);
        server.go_down();
        let cut = &server.exchanges()[0];
        assert_eq!((cut.status, cut.answered), (None, Some(2)));
        assert_eq!(waiting.join().unwrap(), "");
    });
}
