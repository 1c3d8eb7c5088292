//! Tokens for the requests of one destination: each is asked for once, whoever needs it, and renewed before it ends.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use relay_core::exchange::{ErrorClass, HttpRequest};
use relay_core::token::{Grant, Issued, Token};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::connection::Connection;
use super::deadline::Deadline;
use super::dial::{Protocols, dial};
use super::failure::Failure;
use super::message::Sent;
use super::pool::Pool;
use super::target::Target;

/// A token is renewed after this share of its life, in percent; until its end the old one is used.
const RENEWED_AFTER_PERCENT: u32 = 90;

/// The wait after a renewal that failed, while the old token may still be used.
const RENEWAL_PAUSE: Duration = Duration::from_secs(1);

/// The tokens of a destination: one for each grant, of which its routes may have their own.
#[derive(Default)]
pub struct Tokens {
    shelves: RefCell<Vec<(Arc<Grant>, Rc<Shelf>)>>,
}

/// A token for a request.
pub struct Obtained {
    pub token: Token,
    /// Whether it was there before the request was: it may have been withdrawn meanwhile.
    pub was_there: bool,
}

#[derive(Default)]
struct Shelf {
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// A request for a token that is under way: what will have come of it.
    fetching: Option<Outcome>,
    /// When the next renewal may be tried.
    renewal_from: Option<Instant>,
}

type Outcome = watch::Receiver<Option<Result<Token, Failure>>>;

struct Held {
    token: Token,
    /// None where nobody said when it ends: it is used until it is refused.
    ends: Option<Ends>,
}

#[derive(Clone, Copy)]
struct Ends {
    renewed_from: Instant,
    at: Instant,
}

impl Held {
    fn new(issued: Issued, asked_at: Instant) -> Self {
        let ends = issued.life.map(|life| Ends {
            renewed_from: asked_at + life * RENEWED_AFTER_PERCENT / 100,
            at: asked_at + life,
        });
        Self {
            token: issued.token,
            ends,
        }
    }

    fn is_alive(&self, now: Instant) -> bool {
        self.ends.is_none_or(|ends| now < ends.at)
    }

    fn is_renewable(&self, now: Instant) -> bool {
        self.ends.is_some_and(|ends| now >= ends.renewed_from)
    }
}

/// A token for the grant of a request, waited for until the request must be over. `refused` is one that will not do.
///
/// # Errors
///
/// Of class `auth`, when none is to be had.
pub async fn obtain(
    pool: &Rc<Pool>,
    grant: &Arc<Grant>,
    request: &HttpRequest,
    refused: Option<&Token>,
    over_at: Instant,
) -> Result<Obtained, Failure> {
    let shelf = pool.tokens.shelf_of(grant);
    let now = Instant::now();
    let mut outcome = {
        let mut state = shelf.state.borrow_mut();
        state.held.take_if(|held| Some(&held.token) == refused);
        let is_due = match &state.held {
            None => true,
            Some(held) if !held.is_alive(now) => true,
            Some(held) => {
                held.is_renewable(now) && state.renewal_from.is_none_or(|from| from <= now)
            }
        };
        if is_due && state.fetching.is_none() {
            let fetched = start(pool.clone(), shelf.clone(), grant, request);
            state.fetching = Some(fetched);
        }
        let alive = state.held.as_ref().filter(|held| held.is_alive(now));
        match (alive, &state.fetching) {
            (Some(held), _) => {
                return Ok(Obtained {
                    token: held.token.clone(),
                    was_there: true,
                });
            }
            (None, Some(fetching)) => fetching.clone(),
            (None, None) => return Err(unavailable("none was asked for")),
        }
    };
    let fetched = timeout_at(over_at, outcome.wait_for(Option::is_some)).await;
    match fetched {
        Ok(Ok(fetched)) => {
            let token = fetched.clone().unwrap_or_else(|| Err(ended()))?;
            Ok(Obtained {
                token,
                was_there: false,
            })
        }
        Ok(Err(_)) => Err(ended()),
        Err(_) => Err(unavailable(&format!(
            "no answer within {:?}",
            request.timeout
        ))),
    }
}

impl Tokens {
    fn shelf_of(&self, grant: &Arc<Grant>) -> Rc<Shelf> {
        let mut shelves = self.shelves.borrow_mut();
        if let Some((_, shelf)) = shelves.iter().find(|(known, _)| known == grant) {
            return shelf.clone();
        }
        let new = Rc::new(Shelf::default());
        shelves.push((grant.clone(), new.clone()));
        new
    }
}

/// Asks for a token in a task of its own: whoever waits for it may give up before the others do.
fn start(pool: Rc<Pool>, shelf: Rc<Shelf>, grant: &Grant, request: &HttpRequest) -> Outcome {
    let (told, outcome) = watch::channel(None);
    let own = grant.request(user_agent(request), request.timeout);
    tokio::task::spawn_local(async move {
        let asked_at = Instant::now();
        let fetched = fetch(&pool, own).await;
        let mut state = shelf.state.borrow_mut();
        state.fetching = None;
        let token = match fetched {
            Ok(issued) => {
                let token = issued.token.clone();
                state.held = Some(Held::new(issued, asked_at));
                Ok(token)
            }
            Err(failure) => {
                state.renewal_from = Some(Instant::now() + RENEWAL_PAUSE);
                Err(failure)
            }
        };
        // Where nobody waits any more, the token stands on the shelf for the next.
        let _ = told.send(Some(token));
    });
    outcome
}

/// Makes the request, on a connection of its own: tokens are asked for too seldom to keep one.
async fn fetch(pool: &Pool, mut request: HttpRequest) -> Result<Issued, Failure> {
    let target = Target::parse(&request.url).map_err(|error| unavailable(&error.to_string()))?;
    let started = Instant::now();
    let limit = pool.limits.connect_timeout.min(request.timeout);
    let socket = dial(&target.origin, limit, &pool.reach, Protocols::Http1).await;
    let socket = socket.map_err(|failure| unavailable(&failure.error))?;
    let mut connection = Connection::open(socket, target.origin.clone())
        .await
        .map_err(|failure| unavailable(&failure.error))?;
    let mut deadline = Deadline::new(started + request.timeout);
    let bytes_max = pool.limits.response_bytes_max;
    let sent = connection
        .exchange(&mut request, &target, &mut deadline, bytes_max)
        .await;
    match sent {
        Sent::Answered { answer, .. } => {
            Issued::read(&answer).map_err(|error| unavailable(&error.to_string()))
        }
        Sent::Failed { failure, .. } => Err(unavailable(&failure.error)),
        Sent::NotTaken => Err(unavailable(&Failure::closed().error)),
    }
}

fn user_agent(request: &HttpRequest) -> &str {
    let mut headers = request.headers.iter();
    let found = headers.find(|(name, _)| *name == "user-agent");
    found.map_or("", |(_, value)| value)
}

/// Whatever went wrong: no token, which is never the record's fault.
fn unavailable(why: &str) -> Failure {
    Failure::new(ErrorClass::Auth, format!("no token: {why}"))
}

fn ended() -> Failure {
    unavailable("asking for one was given up")
}

#[cfg(test)]
mod tests {
    use relay_core::exchange::Answer;

    use super::*;

    fn held(life: &str, asked_at: Instant) -> Held {
        let answer = Answer {
            status: 200,
            headers: vec![],
            body: format!(r#"{{"access_token":"t"{life}}}"#).into(),
            is_truncated: false,
        };
        Held::new(Issued::read(&answer).unwrap(), asked_at)
    }

    #[test]
    fn a_token_may_be_renewed_after_nine_tenths_of_its_life_and_is_used_to_its_end() {
        let asked_at = Instant::now();
        let held = held(r#","expires_in":100"#, asked_at);
        for (second, is_renewable, is_alive) in [
            (0, false, true),
            (89, false, true),
            (90, true, true),
            (99, true, true),
            (100, true, false),
        ] {
            let now = asked_at + Duration::from_secs(second);
            assert_eq!(
                (held.is_renewable(now), held.is_alive(now)),
                (is_renewable, is_alive),
                "{second}"
            );
        }
    }

    #[test]
    fn a_token_without_an_end_is_used_for_ever() {
        let asked_at = Instant::now();
        let held = held("", asked_at);
        let later = asked_at + Duration::from_secs(365 * 86_400);
        assert!(held.is_alive(later) && !held.is_renewable(later));
    }
}
