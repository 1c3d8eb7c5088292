//! An endpoint that answers as told, remembers what it was sent, and can be away for a while.

mod answer;
mod request;

use std::collections::HashMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub use answer::Answer;
pub use request::Request;

use self::answer::Manner;
use crate::history::Exchange;
use crate::port::free_port;
use crate::raw_server::Conversation;
use crate::wait::wait_until;

/// Between the bytes of an answer that drips.
const DRIP: Duration = Duration::from_secs(1);

type Program = dyn Fn(&Request) -> Answer + Send + Sync;

/// A consumer's REST endpoint.
pub struct StubServer {
    port: u16,
    shared: Arc<Shared>,
    listening: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    program: Arc<Program>,
    exchanges: Vec<Exchange>,
    /// Requests seen per delivery id.
    attempts: HashMap<String, u32>,
    /// Orders arrivals and answers among each other.
    clock: u64,
    /// Open connections by number, so that they can be cut.
    connections: HashMap<u64, TcpStream>,
    connections_ever: u64,
    is_up: bool,
}

impl StubServer {
    /// Listens on a free loopback port; every request is answered by `program`, on the thread of its connection.
    pub fn start(program: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let state = State {
            program: Arc::new(program),
            exchanges: Vec::new(),
            attempts: HashMap::new(),
            clock: 0,
            connections: HashMap::new(),
            connections_ever: 0,
            is_up: false,
        };
        let mut server = Self {
            port: free_port(),
            shared: Arc::new(Shared {
                state: Mutex::new(state),
            }),
            listening: None,
        };
        server.come_up();
        server
    }

    /// Answers 200 to everything.
    pub fn accepting() -> Self {
        Self::start(|_| Answer::ok())
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/replicates_to", self.port)
    }

    /// Answers differently from now on.
    pub fn answer_with(&self, program: impl Fn(&Request) -> Answer + Send + Sync + 'static) {
        self.shared.lock().program = Arc::new(program);
    }

    /// Closes the port and cuts every connection.
    pub fn go_down(&mut self) {
        let mut state = self.shared.lock();
        state.is_up = false;
        for connection in state.connections.values() {
            // One that the other side has closed already needs no cutting.
            let _ = connection.shutdown(Shutdown::Both);
        }
        state.end_exchanges();
        drop(state);
        if let Some(listening) = self.listening.take() {
            // Wakes the accepting thread, which then lets go of the port.
            let _ = TcpStream::connect(("127.0.0.1", self.port));
            listening.join().unwrap();
        }
    }

    /// Opens the same port again.
    pub fn come_up(&mut self) {
        if self.listening.is_some() {
            return;
        }
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        self.shared.lock().is_up = true;
        let shared = self.shared.clone();
        self.listening = Some(thread::spawn(move || accept(&listener, &shared)));
    }

    /// Everything so far, in the order of arrival.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.lock().exchanges.clone()
    }

    /// Forgets what has happened so far.
    pub fn forget(&self) {
        self.shared.lock().exchanges.clear();
    }

    /// Requests received so far.
    pub fn count(&self) -> usize {
        self.shared.lock().exchanges.len()
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections_ever
    }

    /// Waits until what has happened satisfies `condition`.
    ///
    /// # Panics
    ///
    /// After `limit`, naming what was waited for.
    pub fn wait_until(&self, what: &str, limit: Duration, condition: impl Fn(&[Exchange]) -> bool) {
        wait_until(what, limit, || condition(&self.shared.lock().exchanges));
    }
}

impl State {
    /// Whoever asked hears at once that his connection was cut, and no answer.
    fn end_exchanges(&mut self) {
        for exchange in &mut self.exchanges {
            if exchange.answered.is_none() {
                self.clock += 1;
                exchange.answer(None, &[], self.clock);
            }
        }
    }
}

impl Drop for StubServer {
    fn drop(&mut self) {
        self.go_down();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no program of the stub server has panicked")
    }

    /// Notes a request. Its position finds it again.
    fn note_request(&self, request: &mut Request) -> (usize, Arc<Program>) {
        let mut state = self.lock();
        let attempts = state.attempts.entry(request.id().to_owned()).or_default();
        *attempts += 1;
        request.attempt = *attempts;
        state.clock += 1;
        let arrived = state.clock;
        state
            .exchanges
            .push(Exchange::arrived(request.clone(), arrived));
        (state.exchanges.len() - 1, state.program.clone())
    }

    fn note_answer(&self, position: usize, request: &Request, answer: &Answer) {
        let mut state = self.lock();
        state.clock += 1;
        let answered = state.clock;
        // What was forgotten meanwhile stays so.
        let exchange = state.exchanges.get_mut(position);
        let is_it =
            |exchange: &&mut Exchange| exchange.request == *request && exchange.answered.is_none();
        if let Some(exchange) = exchange.filter(is_it) {
            exchange.answer(answer.said_status(), &answer.body, answered);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for stream in listener.incoming() {
        let stream = stream.unwrap();
        let mut state = shared.lock();
        if !state.is_up {
            return;
        }
        state.connections_ever += 1;
        let number = state.connections_ever;
        state
            .connections
            .insert(number, stream.try_clone().unwrap());
        drop(state);
        let shared = shared.clone();
        thread::spawn(move || {
            serve(Conversation::new(stream), &shared);
            shared.lock().connections.remove(&number);
        });
    }
}

fn serve(mut conversation: Conversation, shared: &Shared) {
    while let Some(raw) = conversation.request() {
        let mut request = Request::read(&raw);
        let (position, program) = shared.note_request(&mut request);
        let answer = program(&request);
        thread::sleep(answer.delay);
        let note = || shared.note_answer(position, &request, &answer);
        // Noted before anything is said: once the relay has the answer it may send the next request of the key.
        match answer.manner {
            Manner::Whole => {
                note();
                if !conversation.say(answer.bytes()) {
                    return;
                }
            }
            Manner::Cut => return note(),
            Manner::BrokenOff => {
                note();
                let bytes = answer.bytes();
                // One who has closed already hears nothing, which is as well.
                let _ = conversation.say(&bytes[..bytes.len() - 1]);
                return;
            }
            Manner::Rubbish => {
                note();
                let _ = conversation.say(answer.bytes());
                return;
            }
            Manner::Silent => {
                conversation.wait_until_closed();
                return note();
            }
            Manner::Dripping => {
                drip(&mut conversation, &answer.bytes());
                return note();
            }
        }
    }
}

/// Says a byte, waits a second, and so on, until the other side has closed.
fn drip(conversation: &mut Conversation, bytes: &[u8]) {
    for byte in bytes {
        if !conversation.say([*byte]) || conversation.is_closed_within(DRIP) {
            return;
        }
    }
}
