//! The HTTP/2 connections of one destination: found by those who need one, opened by the first of them.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use relay_core::exchange::ErrorClass;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::dial::{Protocols, dial};
use super::failure::Failure;
use super::line::{Line, Place};
use super::reach::Reach;
use super::target::Origin;

/// A connection for a request.
pub enum Way {
    /// A place among others.
    Place(Place),
    /// One of its own: the server speaks HTTP/1.1.
    Own(Box<Connection>),
}

pub struct Lines {
    /// No request begins on one that has been open for longer.
    age_max: Duration,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    lines: Vec<Rc<Line>>,
    /// Who is being dialled by somebody, and how that ends.
    dialled: Vec<(Rc<Origin>, Outcome)>,
    /// Servers that chose HTTP/1.1 when they were dialled last.
    without: Vec<Rc<Origin>>,
}

type Outcome = watch::Receiver<Option<Result<(), Failure>>>;
type Told = watch::Sender<Option<Result<(), Failure>>>;

enum Step {
    Take(Place),
    Wait(Outcome),
    Dial(Told),
    DialAlone,
}

impl Lines {
    pub fn new(age_max: Duration) -> Self {
        Self {
            age_max,
            state: RefCell::default(),
        }
    }

    /// A place on a connection that is open.
    pub fn place(&self, origin: &Rc<Origin>, now: Instant) -> Option<Place> {
        let state = &mut *self.state.borrow_mut();
        state.lines.retain(|line| !line.is_over());
        let is_pending =
            |outcome: &Outcome| outcome.has_changed().is_ok() && outcome.borrow().is_none();
        state.dialled.retain(|(_, outcome)| is_pending(outcome));
        let is_dialled = state.dialled.iter().any(|(other, _)| other == origin);
        let serves = |line: &&Rc<Line>| {
            // While its successor is being dialled, an old one serves a little longer.
            let is_young = line.age(now) < self.age_max || is_dialled;
            line.origin == *origin && is_young && line.has_room()
        };
        state.lines.iter().find(serves).map(Line::take_place)
    }

    /// A connection to a server within `limit`, shared where the server allows it. As long as nobody knows that, one dials
    /// and the others wait for it.
    pub async fn find(
        &self,
        origin: &Rc<Origin>,
        limit: Duration,
        reach: &Reach,
    ) -> Result<Way, Failure> {
        let deadline = Instant::now() + limit;
        loop {
            match self.step(origin) {
                Step::Take(place) => return Ok(Way::Place(place)),
                Step::DialAlone => {
                    let (told, _) = watch::channel(None);
                    return self.open(origin, limit, reach, told).await;
                }
                Step::Dial(told) => {
                    return self.open(origin, limit, reach, told).await;
                }
                Step::Wait(mut outcome) => {
                    let told = timeout_at(deadline, outcome.wait_for(Option::is_some)).await;
                    match told {
                        Ok(Ok(told)) => told.clone().unwrap_or(Ok(()))?,
                        // Whoever dialled has given up.
                        Ok(Err(_)) => {}
                        Err(_) => {
                            let error = format!("{}: no connection within {limit:?}", origin.host);
                            return Err(Failure::new(ErrorClass::Connect, error));
                        }
                    }
                }
            }
        }
    }

    fn step(&self, origin: &Rc<Origin>) -> Step {
        if let Some(place) = self.place(origin, Instant::now()) {
            return Step::Take(place);
        }
        let state = &mut *self.state.borrow_mut();
        let mut dialled = state.dialled.iter();
        if let Some((_, outcome)) = dialled.find(|(other, _)| other == origin) {
            return Step::Wait(outcome.clone());
        }
        if state.without.contains(origin) {
            return Step::DialAlone;
        }
        let (told, outcome) = watch::channel(None);
        state.dialled.push((origin.clone(), outcome));
        Step::Dial(told)
    }

    /// Opens a connection; who waits for it is told how that ended.
    async fn open(
        &self,
        origin: &Rc<Origin>,
        limit: Duration,
        reach: &Reach,
        told: Told,
    ) -> Result<Way, Failure> {
        let socket = match dial(origin, limit, reach, Protocols::All).await {
            Ok(socket) => socket,
            Err(failure) => {
                told.send_replace(Some(Err(failure.clone())));
                return Err(failure);
            }
        };
        if !socket.speaks_http2() {
            let connection = Connection::open(socket, origin.clone()).await?;
            let state = &mut *self.state.borrow_mut();
            if !state.without.contains(origin) {
                state.without.push(origin.clone());
            }
            told.send_replace(Some(Ok(())));
            return Ok(Way::Own(Box::new(connection)));
        }
        // Before that, it has room for this request alone.
        let opened = move || drop(told.send_replace(Some(Ok(()))));
        let line = Rc::new(Line::open(socket, origin.clone(), opened).await?);
        let place = line.take_place();
        let state = &mut *self.state.borrow_mut();
        state.without.retain(|other| other != origin);
        // An old one goes when the last request on it has ended.
        let now = Instant::now();
        state
            .lines
            .retain(|old| old.origin != *origin || old.age(now) < self.age_max);
        state.lines.push(line);
        Ok(Way::Place(place))
    }

    /// Closes those that have idled for so long.
    pub fn retire(&self, now: Instant, idle_max: Duration) {
        let idles = |line: &Rc<Line>| line.idle(now).is_some_and(|idle| idle >= idle_max);
        self.state
            .borrow_mut()
            .lines
            .retain(|line| !line.is_over() && !idles(line));
    }

    /// Those on them end, and then all close.
    pub fn close(&self) {
        self.state.borrow_mut().lines.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio::task::LocalSet;

    use super::super::AGE_MAX;
    use super::super::dial::Socket;
    use super::super::target::Target;
    use super::*;

    #[tokio::test]
    async fn an_old_connection_serves_only_until_its_successor_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let origin = Target::parse("https://a.example/").unwrap().origin;
        let scene = async {
            let socket = TcpStream::connect(address).await.unwrap();
            let line = Line::open(Socket::Plain(socket), origin.clone(), || ()).await;
            let lines = Lines::new(AGE_MAX);
            lines.state.borrow_mut().lines.push(Rc::new(line.unwrap()));
            let now = Instant::now();
            let later = now + AGE_MAX + Duration::from_secs(1);
            assert!(lines.place(&origin, now).is_some());
            assert!(lines.place(&origin, later).is_none());
            let (_told, outcome) = watch::channel(None);
            let dialled = (origin.clone(), outcome);
            lines.state.borrow_mut().dialled.push(dialled);
            assert!(lines.place(&origin, later).is_some());
        };
        LocalSet::new().run_until(scene).await;
    }

    #[tokio::test]
    async fn whoever_needs_a_connection_waits_for_the_one_that_is_dialled() {
        let origin = Target::parse("https://a.example/").unwrap().origin;
        let lines = Lines::new(AGE_MAX);
        let Step::Dial(_told) = lines.step(&origin) else {
            panic!("nobody dials yet")
        };
        assert!(matches!(lines.step(&origin), Step::Wait(_)));
        let other = Target::parse("https://b.example/").unwrap().origin;
        let Step::Dial(told) = lines.step(&other) else {
            panic!("of its own accord")
        };
        lines.state.borrow_mut().without.push(other.clone());
        told.send_replace(Some(Ok(())));
        assert!(matches!(lines.step(&other), Step::DialAlone));
    }
}
