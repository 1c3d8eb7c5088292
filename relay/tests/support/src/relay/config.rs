//! A relay's configuration, written by a test.

use std::fmt::Write;
use std::net::SocketAddr;

use super::older;
use crate::port::free_port;
use crate::scene::Scene;
use crate::services::services;

/// What becomes `relay.toml`.
#[derive(Debug, Clone)]
pub struct RelayConfig {
    name: String,
    brokers: String,
    topic_prefix: String,
    group_prefix: String,
    relay: String,
    kafka: String,
    store_url: String,
    store: String,
    admin: SocketAddr,
    rest: String,
    /// The defaults of an older build, when it is for one.
    older: Option<String>,
}

impl RelayConfig {
    /// A relay in a scene: its topics, its groups, its database, a free port for the admin API.
    pub fn new(scene: &Scene) -> Self {
        Self {
            name: "relay-1".into(),
            brokers: services().brokers.clone(),
            topic_prefix: scene.topic_prefix(),
            group_prefix: scene.group_prefix(),
            relay: String::new(),
            kafka: String::new(),
            store_url: scene.database.url().into(),
            store: String::new(),
            admin: SocketAddr::from(([127, 0, 0, 1], free_port())),
            rest: String::new(),
            older: None,
        }
    }

    /// The topics of another scene.
    #[must_use]
    pub fn topics_of(mut self, scene: &Scene) -> Self {
        self.topic_prefix = scene.topic_prefix();
        self
    }

    /// For an older build, which refuses keys that are newer than it is: those that its `config --defaults` does not
    /// name are left out. What a destination says stays.
    #[must_use]
    pub fn for_older(mut self, defaults: &str) -> Self {
        self.older = Some(defaults.into());
        self
    }

    /// Another replica of the same relay: its own name and port.
    #[must_use]
    pub fn replica(&self, name: &str) -> Self {
        let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
        Self {
            name: name.into(),
            admin,
            ..self.clone()
        }
    }

    #[must_use]
    pub fn brokers(mut self, brokers: &str) -> Self {
        self.brokers = brokers.into();
        self
    }

    #[must_use]
    pub fn store_url(mut self, url: &str) -> Self {
        self.store_url = url.into();
        self
    }

    /// Adds lines to `[relay]`.
    #[must_use]
    pub fn relay(mut self, lines: &str) -> Self {
        writeln!(self.relay, "{lines}").unwrap();
        self
    }

    /// Adds lines to `[kafka]`.
    #[must_use]
    pub fn kafka(mut self, lines: &str) -> Self {
        writeln!(self.kafka, "{lines}").unwrap();
        self
    }

    /// Adds lines to `[store]`.
    #[must_use]
    pub fn store(mut self, lines: &str) -> Self {
        writeln!(self.store, "{lines}").unwrap();
        self
    }

    /// Adds a destination, with further lines of its own.
    #[must_use]
    pub fn destination(self, name: &str, url: &str, lines: &str) -> Self {
        self.section(
            &format!("destinations.{name}"),
            &format!("url = {url:?}\n{lines}"),
        )
    }

    /// Adds any other section.
    #[must_use]
    pub fn section(mut self, name: &str, lines: &str) -> Self {
        writeln!(self.rest, "[{name}]\n{lines}").unwrap();
        self
    }

    pub fn admin_address(&self) -> SocketAddr {
        self.admin
    }

    pub fn to_toml(&self) -> String {
        let Self {
            name,
            brokers,
            topic_prefix,
            group_prefix,
            relay,
            kafka,
            store_url,
            store,
            admin,
            rest,
            older,
        } = self;
        let text = format!(
            "[relay]\nname = {name:?}\n{relay}\
             [kafka]\nbrokers = [{brokers:?}]\ntopic_prefix = {topic_prefix:?}\ngroup_prefix = {group_prefix:?}\n{kafka}\
             [store]\nurl = {store_url:?}\n{store}\
             [admin]\nlisten = \"{admin}\"\n\
             [defaults.egress]\nallow = [\"127.0.0.0/8\", \"::1/128\"]\n{rest}"
        );
        match older {
            Some(defaults) => older::without_unknown_keys(&text, defaults),
            None => text,
        }
    }
}
