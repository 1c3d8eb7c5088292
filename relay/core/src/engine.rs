//! What to do next: one destination's deliveries in this replica, as a state machine.
//!
//! Everything that happens is an [`Event`], everything to be done is an [`Action`], and [`Engine::step`] is the only
//! way in: `step(event, now, random) -> actions`. A record's walk through the rooms:
//!
//! - [`ownership`]: its partition was assigned, and what the store knows of it was loaded
//! - [`gaps`]: what expired before its turn is a failure that people see
//! - [`intake`]: it is read, decoded, compared with what is known of its key, and takes its place in its [`lane`]
//! - [`went_back`]: versions that begin anew are no reason to drop it, but to hold the destination
//! - [`unchanged`]: where that is asked for, it ends here if the consumer holds its content already
//! - [`dispatch`]: its turn comes, and a request leaves, with others where the route sends batches ([`gather`])
//! - [`attempt`]: the answer is judged ([`page`]); it ends, waits ([`decision`]) or is [`parked`]
//! - [`journal`]: all of that becomes durable; then its offset ([`offsets`]) may be committed ([`upkeep`])
//!
//! [`configured`] is what becomes of all that when the settings change meanwhile, and [`moving`] what becomes of undelivered
//! records when a topic gets more partitions.
mod adaptive;
mod attempt;
pub mod breaker;
mod configured;
pub mod decision;
pub mod delivery;
mod dispatch;
mod ending;
pub mod event;
pub mod fetching;
mod gaps;
mod gather;
mod intake;
pub mod journal;
mod lane;
mod load;
pub mod moving;
pub mod offsets;
mod ownership;
mod page;
mod parked;
pub mod rate;
mod table;
mod unchanged;
mod upkeep;
pub mod view;
mod went_back;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use self::adaptive::Limiter;
use self::delivery::Delivery;
pub use self::event::{Action, Event, KafkaRecord, RequestId};
use self::journal::{FlushLimits, Journal};
use self::lane::Lanes;
use self::moving::{Census, Misplaced};
use self::parked::Parked;
use self::rate::Rate;
use self::table::{Home, RouteState};
use self::went_back::WentBack;
use crate::names::{KeyHash, Partition};
use crate::settings::{Destination, Route};
use crate::time::{Now, Timestamp};

/// What does not belong to a destination: the limits of this replica.
#[derive(Debug, Clone)]
pub struct Limits {
    pub flush: FlushLimits,
    /// How often offsets are committed.
    pub commit_interval: Duration,
    /// Records held in memory; above it fetching pauses.
    pub buffer_bytes_max: usize,
    /// `replicates-relay/<version>`.
    pub user_agent: Arc<str>,
    /// What topics begin with.
    pub topic_prefix: String,
}

/// One destination in this replica.
#[derive(Debug)]
pub struct Engine {
    settings: Arc<Destination>,
    limits: Limits,
    mode: Mode,
    homes: Vec<Home>,
    home_of: HashMap<Partition, usize>,
    /// By topic.
    census: HashMap<Arc<str>, Census>,
    misplaced: Misplaced,
    routes: Vec<RouteState>,
    /// The route whose turn it is: none starves behind a busy one.
    next_route: usize,
    lanes: Lanes,
    flights: HashMap<RequestId, Flight>,
    next_request: u64,
    parked: Parked,
    journal: Journal,
    /// Retries in place, by when they are due.
    waits: BTreeSet<(Duration, KeyHash)>,
    /// Who paused the destination, and why.
    paused: Option<Arc<str>>,
    went_back: WentBack,
    /// Topics that must not be read, and why.
    refused_topics: Vec<Arc<str>>,
    refused: Option<Arc<str>>,
    /// A `Retry-After` holds the whole destination until then.
    hold_until: Option<Duration>,
    rate: Rate,
    limiter: Limiter,
    /// More was read than the rate limit lets through for a while.
    is_read_ahead: bool,
    /// What the store counted last, over all replicas.
    undelivered: u64,
    buffered_bytes: usize,
    commit_at: Option<Duration>,
    /// Records that had expired before they were read, at most.
    gap_records: u64,
}

/// Whether requests may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Running,
    /// Every partition drains, then the engine is done.
    Stopping,
    Stopped,
}

/// A request on its way: of one route, with one delivery of a key at most.
#[derive(Debug)]
struct Flight {
    /// As it was when the request left.
    route: Arc<Route>,
    deliveries: Vec<Delivery>,
    attempted_at: Timestamp,
    /// The same by the clock that is never set.
    sent_at: Duration,
    is_probe: bool,
}

impl Engine {
    /// An engine without partitions.
    pub fn new(settings: Arc<Destination>, limits: Limits) -> Self {
        Self {
            journal: Journal::new(limits.flush),
            rate: Rate::new(settings.rate_limit),
            limiter: Limiter::new(&settings),
            is_read_ahead: false,
            settings,
            limits,
            mode: Mode::Running,
            homes: vec![],
            home_of: HashMap::new(),
            census: HashMap::new(),
            misplaced: Misplaced::default(),
            routes: vec![],
            next_route: 0,
            lanes: Lanes::default(),
            flights: HashMap::new(),
            next_request: 1,
            parked: Parked::default(),
            waits: BTreeSet::new(),
            paused: None,
            went_back: WentBack::default(),
            refused_topics: vec![],
            refused: None,
            hold_until: None,
            undelivered: 0,
            buffered_bytes: 0,
            commit_at: None,
            gap_records: 0,
        }
    }

    /// Takes an event in, and says what is to be done. `random` is any number; equal numbers give equal steps.
    ///
    /// Events may come in bursts: what can wait for the end of one (requests, lookups, flushes, commits) is done by
    /// [`Event::Tick`], which the caller sends after each burst and when [`Engine::next_timer`] is due.
    pub fn step(&mut self, event: Event, now: Now, random: u64, actions: &mut Vec<Action>) {
        let mut step = Step {
            now,
            chance: Chance(random),
            actions,
        };
        match event {
            Event::Configured {
                settings,
                buffer_bytes_max,
            } => self.on_configured(settings, buffer_bytes_max, now.monotonic),
            Event::Assigned { partition } => self.on_assigned(&partition, &mut step),
            Event::Loaded { partition, state } => self.on_loaded(&partition, state, &mut step),
            Event::Bounds { partition, bounds } => self.on_bounds(&partition, bounds, &mut step),
            Event::Record(record) => self.on_record(record, &step),
            Event::LedgerRead {
                partition,
                asked,
                found,
            } => self.on_ledger_read(&partition, &asked, &found, &step),
            Event::ParkedRead { asked, rows } => self.on_parked_read(&asked, rows, &step),
            Event::ManualRetries { entries } => self.on_manual_retries(entries, &step),
            Event::Paused { words } => self.paused = words,
            Event::Refused { topics } => self.on_refused(&topics),
            Event::Resumed { at } => self.on_resumed(at, &step),
            Event::Counted { undelivered } => self.undelivered = undelivered,
            Event::PartitionsCounted { topics } => self.on_partitions_counted(&topics, &step),
            Event::PartitionsNoted { topic, change } => {
                self.on_partitions_noted(&topic, change, now);
            }
            Event::Moved { entries, held } => self.on_moved(entries, &held, &step),
            Event::Answer {
                request,
                http,
                exchange,
            } => self.on_answer(request, &http, &exchange, &mut step),
            Event::Flushed { batch } => self.on_flushed(batch, &step),
            Event::FlushRefused { batch } => self.journal.refused(batch, now.monotonic),
            Event::Revoked { partitions } => self.on_revoked(&partitions, &step),
            Event::Lost { partitions } => self.on_lost(&partitions),
            Event::PollDeadlinePassed => self.on_poll_deadline_passed(),
            Event::Unsent { request } => self.on_unsent(request, &step),
            Event::Stop => self.on_stop(&step),
            Event::Tick => self.on_tick(&mut step),
        }
    }
}

/// One call of [`Engine::step`]: the moment, the dice, and what is to be done.
struct Step<'a> {
    now: Now,
    chance: Chance,
    actions: &'a mut Vec<Action>,
}

/// Numbers derived from the one random number of a step (splitmix64).
struct Chance(u64);

impl Chance {
    /// The next number from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds")]
        let unit = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
        unit
    }
}
