//! One destination: its consumer, the endpoint in front of it, and what happens to both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use relay_test_support::relay::http;
use relay_test_support::stub_server::StubServer;
use relay_test_support::wait::wait_until;

use crate::consumer::Consumer;
use crate::plan::{Step, Trouble};
use crate::services::note;

/// A consumer application.
pub struct Destination {
    pub name: &'static str,
    pub consumer: Arc<Consumer>,
    pub endpoint: StubServer,
    are_poisoned: Arc<AtomicBool>,
}

impl Destination {
    pub fn new(name: &'static str, seed: u64) -> Self {
        let consumer = Arc::new(Consumer::new(seed));
        let are_poisoned = Arc::new(AtomicBool::new(true));
        let (asked, poisoned) = (consumer.clone(), are_poisoned.clone());
        let endpoint = StubServer::start(move |request| {
            asked.answer(request, poisoned.load(Ordering::Relaxed))
        });
        Self {
            name,
            consumer,
            endpoint,
            are_poisoned,
        }
    }

    /// Lives through its track, up to the first trouble that comes too late. `admins` are the relays' admin APIs, by one of
    /// which it is paused and resumed. Says how many troubles it had.
    pub fn suffer(
        &mut self,
        steps: &[Step<Trouble>],
        until: Instant,
        admins: &[SocketAddr],
    ) -> usize {
        for (count, step) in steps.iter().enumerate() {
            thread::sleep(step.after);
            if Instant::now() > until {
                return count;
            }
            note(&format!("{}: {:?}", self.name, step.fault));
            match step.fault {
                Trouble::Refusing(long) => {
                    self.endpoint.go_down();
                    thread::sleep(long);
                    self.endpoint.come_up();
                }
                Trouble::Weather(weather, long) => {
                    self.consumer.set_weather(Some(weather));
                    thread::sleep(long);
                    self.consumer.set_weather(None);
                }
                Trouble::Paused(long) => {
                    // Where no relay can be asked now there is no pause.
                    if self.command("pause", r#"{"reason":"chaos"}"#, admins) {
                        thread::sleep(long);
                    }
                    // Whether it was paused or not, and whether that was answered: in the end it is not.
                    self.resume(admins);
                }
            }
            note(&format!("{}: over", self.name));
        }
        steps.len()
    }

    pub fn resume(&self, admins: &[SocketAddr]) {
        wait_until("the destination to be resumed", crate::PATIENCE, || {
            self.command("resume", "", admins)
        });
    }

    /// The keys that could not be taken can be from now on.
    pub fn cure(&self) {
        self.are_poisoned.store(false, Ordering::Relaxed);
    }

    fn command(&self, command: &str, json: &str, admins: &[SocketAddr]) -> bool {
        let path = format!("/api/v1/destinations/{}/{command}", self.name);
        admins
            .iter()
            .any(|admin| matches!(http::send(*admin, "POST", &path, json), Some((200..300, _))))
    }
}
