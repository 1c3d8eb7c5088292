//! The configuration that holds at the moment. Whoever works by it reads it from here: whole, never half of one file and half
//! of the next.

use std::sync::Arc;
use std::time::Duration;

use relay_core::settings::Destination;
use tokio::sync::watch;

use crate::config::Config;

/// A configuration, and the destinations that are served under it.
#[derive(Debug)]
pub struct Current {
    pub config: Arc<Config>,
    pub served: Vec<Served>,
    /// The number that the next destination is given.
    next: usize,
}

/// A destination, as the threads of this process call it.
#[derive(Debug, Clone)]
pub struct Served {
    /// Given once, and never to another: what was meant for one that has gone reaches nobody.
    pub number: usize,
    pub settings: Arc<Destination>,
}

/// Where the current configuration is read.
pub type Reader = watch::Receiver<Arc<Current>>;

/// How often a thread that waits looks whether the configuration has changed.
const LOOK: Duration = Duration::from_millis(200);

/// Lets a thread of its own wait for that long, or until another configuration holds. False when there will be no other.
pub fn wait(current: &Reader, limit: Duration) -> bool {
    let mut waited = Duration::ZERO;
    while waited < limit && matches!(current.has_changed(), Ok(false)) {
        std::thread::sleep(LOOK);
        waited += LOOK;
    }
    current.has_changed().is_ok()
}

impl Current {
    /// What the relay starts with: nobody is served yet.
    pub fn new(config: Arc<Config>) -> Self {
        Self {
            config,
            served: vec![],
            next: 0,
        }
    }

    /// What holds next. A destination that stays keeps its number.
    #[must_use]
    pub fn followed_by(&self, config: Arc<Config>) -> Self {
        let mut next = self.next;
        let mut served = vec![];
        for settings in &config.destinations {
            let number = self.find(&settings.name).map_or_else(
                || {
                    next += 1;
                    next - 1
                },
                |served| served.number,
            );
            served.push(Served {
                number,
                settings: settings.clone(),
            });
        }
        Self {
            config,
            served,
            next,
        }
    }

    /// The destination of that name.
    pub fn find(&self, name: &str) -> Option<&Served> {
        self.served
            .iter()
            .find(|served| &*served.settings.name == name)
    }

    /// The share of one destination of the memory for records: even, so that one that holds cannot take that of others.
    pub fn buffer_bytes_max(&self) -> usize {
        let share = self.config.relay.buffer_bytes_max / self.served.len().max(1) as u64;
        usize::try_from(share).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn config(names: &[&str]) -> Arc<Config> {
        let sections = names
            .iter()
            .map(|name| format!("[destinations.{name}]\nurl = \"http://127.0.0.1:1/\"\n"));
        let text = "[kafka]\nbrokers = [\"127.0.0.1:1\"]\n[store]\nurl = \"sqlite://x\"\n\
            [relay]\nbuffer_max = \"10MiB\"\n"
            .to_owned()
            + &sections.collect::<Vec<_>>().concat();
        Arc::new(Config::parse("relay.toml", &text, &Environment::default()).unwrap())
    }

    fn numbers(current: &Current) -> Vec<(&str, usize)> {
        current
            .served
            .iter()
            .map(|served| (&*served.settings.name, served.number))
            .collect()
    }

    #[test]
    fn who_stays_keeps_its_number_and_who_returns_gets_another() {
        let nobody = Current::new(config(&[]));
        let first = nobody.followed_by(config(&["billing", "fleet"]));
        assert_eq!(numbers(&first), [("billing", 0), ("fleet", 1)]);
        let second = first.followed_by(config(&["accounts", "fleet"]));
        assert_eq!(numbers(&second), [("accounts", 2), ("fleet", 1)]);
        let third = second.followed_by(config(&["billing", "fleet"]));
        assert_eq!(numbers(&third), [("billing", 3), ("fleet", 1)]);
    }

    #[test]
    fn memory_is_shared_evenly() {
        let current = Current::new(config(&[])).followed_by(config(&["billing", "fleet"]));
        assert_eq!(current.buffer_bytes_max(), 5 << 20);
        let nobody = current.followed_by(config(&[]));
        assert_eq!(nobody.buffer_bytes_max(), 10 << 20);
    }
}
