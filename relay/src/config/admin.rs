//! `[admin]`: where the relay answers people, and to whom.

use std::net::SocketAddr;

use serde_json::json;

use super::secret::Secret;
use super::section::{MASK, Section};
use super::tree::Node;

/// `[admin]`
#[derive(Debug, Clone)]
pub struct Admin {
    pub listen: SocketAddr,
    /// None: everybody on this machine may do everything.
    pub tokens: Vec<Token>,
}

/// Who may call the API.
#[derive(Debug, Clone)]
pub struct Token {
    /// Named in the audit.
    pub name: String,
    pub role: Role,
    pub token: Secret,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and retries.
    Operator,
}

impl Admin {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let listen = section.text("listen", "an address like \"127.0.0.1:8080\"", |text| {
            text.parse::<SocketAddr>().ok()
        });
        let tokens = read_tokens(section);
        if let (Some(listen), Some(tokens)) = (listen, &tokens)
            && tokens.is_empty()
            && !listen.ip().is_loopback()
            && let Some(node) = section.optional("listen")
        {
            section.problem::<()>(
                node,
                format!("is {listen}, which is not loopback: admin.tokens must name who may call"),
            );
        }
        section.refuse_unknown_keys();
        Some(Self {
            listen: listen?,
            tokens: tokens?,
        })
    }
}

fn read_tokens(section: &Section<'_>) -> Option<Vec<Token>> {
    let nodes = section.list("tokens")?;
    let read: Vec<_> = nodes.iter().map(|node| read_token(section, node)).collect();
    let tokens = read.into_iter().collect::<Option<Vec<_>>>()?;
    for (position, token) in tokens.iter().enumerate() {
        if tokens[..position]
            .iter()
            .any(|other| other.name == token.name)
        {
            section.problem::<()>(
                &nodes[position],
                format!("repeats the name {:?}", token.name),
            );
        }
    }
    let shown: Vec<_> = tokens
        .iter()
        .map(|token| {
            let role = match token.role {
                Role::Viewer => "viewer",
                Role::Operator => "operator",
            };
            json!({ "name": token.name, "role": role, "token": MASK })
        })
        .collect();
    section.show("tokens", shown);
    Some(tokens)
}

fn read_token<'a>(tokens: &Section<'a>, node: &'a Node) -> Option<Token> {
    let path = vec![node.path.clone()];
    let section = tokens
        .item(path, node, "a table of name, role and token")?
        .hidden();
    let name = section.text("name", "1 to 100 printable characters", |text| {
        let is_name = (1..=100).contains(&text.len()) && !text.contains(char::is_control);
        is_name.then(|| text.to_owned())
    });
    let role = section.choice(
        "role",
        &[("viewer", Role::Viewer), ("operator", Role::Operator)],
    );
    let token = section
        .required("token")
        .and_then(|node| section.secret(node));
    section.refuse_unknown_keys();
    Some(Token {
        name: name?,
        role: role?,
        token: token?,
    })
}
