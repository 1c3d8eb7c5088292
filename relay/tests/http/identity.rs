//! `tls` of a destination, from its file to a server: private authorities, the relay's own certificate, versions.

use std::fs;
use std::process::Command;

use relay_core::exchange::ErrorClass;
use relay_test_support::raw_server::RawServer;
use replicates_relay::config::{Config, Environment};
use replicates_relay::http::{Endpoint, Reaches};
use rustls::RootCertStore;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::certificates::{ALL, Authority, Certificate};
use crate::edge::{Edge, LIMITS, answered, exchange, failed, post};

/// Files, and a destination whose `tls` names them.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    fn ca_file(&self, authority: &Authority) -> String {
        let path = self.write("ca.pem", &authority.pem());
        format!("ca_file = {path:?}")
    }

    fn client(&self, certificate: &Certificate) -> String {
        let chain = self.write("client.pem", &certificate.pem());
        let key = self.write("client.key", &certificate.key_pem());
        format!("client_cert = {chain:?}\nclient_key = \"file:{key}\"")
    }
}

fn toml(tls: &[&str]) -> String {
    let lines = tls.join("\n");
    format!(
        "[kafka]\nbrokers = [\"127.0.0.1:1\"]\n[store]\nurl = \"sqlite://relay.db\"\n\
         [destinations.billing]\nurl = \"https://localhost/\"\nsigning = {{ secrets = [\"env:SECRET\"] }}\n\
         egress = {{ allow = [\"127.0.0.0/8\"] }}\n[destinations.billing.tls]\n{lines}\n"
    )
}

fn environment() -> Environment {
    Environment::of([("SECRET", "whsec_b3duLW93bi1vd24tb3duLW93bi1vd24tb3du")])
}

fn problems(tls: &[&str]) -> Vec<String> {
    let found = Config::parse("relay.toml", &toml(tls), &environment()).unwrap_err();
    found.iter().map(ToString::to_string).collect()
}

/// Sends a request as a destination with these lines of `tls`, on a system with these authorities.
async fn call(system: RootCertStore, tls: &[&str], server: &RawServer) -> Result<u16, ErrorClass> {
    let config = Config::parse("relay.toml", &toml(tls), &environment()).unwrap();
    let reach = Reaches::with_roots(system)
        .of(&config.destinations[0])
        .unwrap();
    let mut edge = Edge::of(vec![Endpoint {
        limits: LIMITS,
        reach,
    }]);
    let url = format!("https://localhost:{}/", server.address().port());
    let finished = edge.call(post(&url, b"{}")).await;
    match &exchange(&finished).end {
        relay_core::exchange::End::Answered(_) => Ok(answered(&finished).status),
        relay_core::exchange::End::Failed { .. } => Err(failed(&finished).0),
    }
}

#[tokio::test]
async fn a_private_authority_takes_the_place_of_the_system_s() {
    let (folder, private, public) = (Folder::new(), Authority::new(), Authority::new());
    let ca_file = folder.ca_file(&private);
    let ours = private.vouch_for("localhost").serve(ALL, None);
    let theirs = public.vouch_for("localhost").serve(ALL, None);

    assert_eq!(call(public.roots(), &[&ca_file], &ours).await, Ok(200));
    assert_eq!(
        call(public.roots(), &[&ca_file], &theirs).await,
        Err(ErrorClass::Tls)
    );
    assert_eq!(call(public.roots(), &[], &theirs).await, Ok(200));
    assert_eq!(call(public.roots(), &[], &ours).await, Err(ErrorClass::Tls));
}

#[tokio::test]
async fn a_server_that_asks_is_shown_the_relay_s_certificate() {
    let (folder, authority, clients) = (Folder::new(), Authority::new(), Authority::new());
    let ca_file = folder.ca_file(&authority);
    let client = folder.client(&clients.vouch_for("relay"));
    let none = RootCertStore::empty;
    for version in [&TLS12, &TLS13] {
        let server = authority
            .vouch_for("localhost")
            .serve(&[version], Some(&clients));
        assert_eq!(call(none(), &[&ca_file, &client], &server).await, Ok(200));
    }
    // Of TLS 1.3 the relay hears of it only after its request.
    let server = authority
        .vouch_for("localhost")
        .serve(&[&TLS12], Some(&clients));
    assert_eq!(
        call(none(), &[&ca_file], &server).await,
        Err(ErrorClass::Tls)
    );
    let strangers = folder.client(&Authority::new().vouch_for("relay"));
    assert_eq!(
        call(none(), &[&ca_file, &strangers], &server).await,
        Err(ErrorClass::Tls)
    );
}

#[tokio::test]
async fn a_server_below_the_oldest_version_is_a_tls_failure() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let ca_file = folder.ca_file(&authority);
    let old = authority.vouch_for("localhost").serve(&[&TLS12], None);
    let new = authority.vouch_for("localhost").serve(&[&TLS13], None);
    let none = RootCertStore::empty;
    let least = "min_version = \"1.3\"";
    assert_eq!(
        call(none(), &[&ca_file, least], &old).await,
        Err(ErrorClass::Tls)
    );
    assert_eq!(call(none(), &[&ca_file, least], &new).await, Ok(200));
    assert_eq!(call(none(), &[&ca_file], &old).await, Ok(200));
}

#[test]
fn what_is_wrong_with_a_file_is_told_by_its_key_and_never_quotes_a_key() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let (mine, another) = (authority.vouch_for("relay"), authority.vouch_for("relay"));
    let chain = format!(
        "client_cert = {:?}",
        folder.write("client.pem", &mine.pem())
    );
    let key =
        |name: &str, text: &str| format!("client_key = \"file:{}\"", folder.write(name, text));
    let own_key = key("own.key", &mine.key_pem());
    let rubbish = format!("ca_file = {:?}", folder.write("rubbish", "rubbish"));
    let broken = folder.write(
        "broken",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    for (lines, expected) in [
        (
            &["ca_file = \"ca.pem\""][..],
            "ca_file must be the absolute path of a file in PEM, not \"ca.pem\"",
        ),
        (
            &["ca_file = \"/nonexistent/ca.pem\""],
            "ca_file is \"/nonexistent/ca.pem\", which cannot be read: No such file or directory (os error 2)",
        ),
        (&[&rubbish], "ca_file holds no certificate in PEM"),
        (
            &[&format!("ca_file = {broken:?}")],
            "ca_file holds what is no certificate: ",
        ),
        (&[&chain], "client_cert needs client_key beside it"),
        (&[&own_key], "client_key needs client_cert beside it"),
        (
            &[&chain, &key("other.key", &another.key_pem())],
            "client_key cannot be used with client_cert: keys may not be consistent",
        ),
        (
            &[&chain, &key("no.key", "hunter2")],
            "client_key must hold a private key in PEM that is not encrypted",
        ),
        (
            &[&chain, "client_key = \"hunter2\""],
            "client_key must be a reference (\"env:NAME\" or \"file:/path\"), not a plain value",
        ),
        (
            &["min_version = \"1.1\""],
            "min_version must be \"1.2\" or \"1.3\", not \"1.1\"",
        ),
        (&["verify = false"], "verify is unknown"),
    ] {
        let found = problems(lines);
        assert_eq!(found.len(), 1, "{lines:?}: {found:#?}");
        let said = found[0]
            .split_once(": destinations.billing.tls.")
            .unwrap()
            .1;
        assert!(said.starts_with(expected), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let config = Config::parse("relay.toml", &toml(&[&chain, &own_key]), &environment()).unwrap();
    assert_eq!(
        config.effective()["destinations"]["billing"]["tls"]["client_key"],
        "***"
    );
    assert!(format!("{:?}", config.destinations[0]).contains("Identity(***)"));
}

#[test]
fn a_check_names_certificates_whose_time_has_run_out() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let expired = folder.client(&authority.vouch_until("relay", 2020));
    let text = toml(&[&folder.ca_file(&authority), &expired]);
    fs::write(folder.0.path().join("relay.toml"), text).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_replicates-relay"))
        .current_dir(folder.0.path())
        .env("SECRET", "whsec_b3duLW93bi1vd24tb3duLW93bi1vd24tb3du")
        .args(["check", "--offline"])
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(
            "FAIL  billing             tls.client_cert expired at 2020-01-01T00:00:00Z\n"
        ),
        "{said}"
    );
    assert!(said.ends_with("1 problem, 0 warnings\n"), "{said}");
}
