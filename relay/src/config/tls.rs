//! `tls`: certificates in PEM, read with the configuration, so that one that is not there is told at once.

use std::fs;

use relay_core::settings::{Identity, Tls, TlsVersion};
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::section::{MASK, Section};
use super::tree::Node;
use crate::http::tls;

/// What PEM has and no path.
const PEM: &str = "-----BEGIN ";

pub(super) fn read(section: &Section<'_>) -> Option<Tls> {
    let authorities = read_authorities(section);
    let identity = match (
        section.optional("client_cert"),
        section.optional("client_key"),
    ) {
        (None, None) => Some(None),
        (Some(chain), None) => section.problem(chain, "needs client_key beside it"),
        (None, Some(key)) => section.problem(key, "needs client_cert beside it"),
        (Some(chain), Some(key)) => read_identity(section, chain, key).map(Some),
    };
    let min_version = section.choice(
        "min_version",
        &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)],
    );
    section.refuse_unknown_keys();
    Some(Tls {
        authorities: authorities?,
        identity: identity?,
        min_version: min_version?,
    })
}

fn read_authorities(section: &Section<'_>) -> Option<Vec<Vec<u8>>> {
    let Some(node) = section.optional("ca_file") else {
        return Some(Vec::new());
    };
    let certificates = read_certificates(section, "ca_file", node)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        if let Err(error) = roots.add(CertificateDer::from_slice(certificate)) {
            return section.problem(node, format!("holds what is no certificate: {error}"));
        }
    }
    Some(certificates)
}

fn read_identity(section: &Section<'_>, chain_node: &Node, key_node: &Node) -> Option<Identity> {
    let chain = read_certificates(section, "client_cert", chain_node);
    let key = read_key(section, key_node);
    let identity = Identity {
        chain: chain?,
        key: key?,
    };
    let tls = Tls {
        identity: Some(identity.clone()),
        ..Tls::default()
    };
    if let Err(error) = tls::configure(&tls, RootCertStore::empty()) {
        let error = error.to_string().to_lowercase();
        return section.problem(
            key_node,
            format!("cannot be used with client_cert: {error}"),
        );
    }
    Some(identity)
}

/// The certificates of a file, or of a reference to their text.
fn read_certificates(
    section: &Section<'_>,
    key: &'static str,
    node: &Node,
) -> Option<Vec<Vec<u8>>> {
    let allowed = "the absolute path of a file in PEM";
    let named = section.resolve(node, allowed)?;
    let pem = if named.text.contains(PEM) {
        section.show(key, MASK);
        named.text
    } else if named.text.starts_with('/') {
        section.show(key, named.text.clone());
        match fs::read_to_string(&named.text) {
            Ok(pem) => pem,
            Err(error) => {
                return section.problem(
                    node,
                    format!("is {:?}, which cannot be read: {error}", named.text),
                );
            }
        }
    } else {
        return section.refuse(node, allowed);
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Some(
            certificates
                .into_iter()
                .map(|certificate| certificate.to_vec())
                .collect(),
        ),
        Ok(_) => section.problem(node, "holds no certificate in PEM"),
        Err(error) => section.problem(node, format!("is not PEM: {error}")),
    }
}

/// The first private key. What is wrong with it is not quoted.
fn read_key(section: &Section<'_>, node: &Node) -> Option<Vec<u8>> {
    let pem = section.secret(node)?;
    section.show("client_key", MASK);
    match PrivateKeyDer::from_pem_slice(pem.expose().as_bytes()) {
        Ok(key) => Some(key.secret_der().to_vec()),
        Err(_) => section.problem(node, "must hold a private key in PEM that is not encrypted"),
    }
}
