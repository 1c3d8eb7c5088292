//! What may happen in a world, and how often: drawn anew for each seed (swarm testing), because a world in which
//! everything happens at once rarely gets deep into anything.

use super::dice::Dice;
use super::endpoint::{Poison, Weather};
use super::topics::Topics;

/// One kind of step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Happening {
    /// Records are produced.
    Produce,
    /// A replica reads from Kafka.
    Read,
    /// The consumer ends a request.
    Answer,
    /// The store does something that a replica asked for.
    Serve,
    /// A replica hears what the store did.
    Hear,
    /// Time passes, mostly until something is due.
    PassTime,
    /// The group gives partitions without an owner to a replica, and tells who lost some.
    Settle,
    /// A replica looks for what people want to be sent again, and hears how much is undelivered.
    LookOut,
    /// The group moves a partition to another replica: drained first.
    Rebalance,
    /// kill -9.
    Crash,
    /// SIGTERM, and a successor.
    Stop,
    /// A replica stands still.
    Freeze,
    Thaw,
    /// The group takes everything from a replica that it heard nothing of; the replica learns of it later.
    Expire,
    /// The next batch is refused.
    RefuseFlush,
    /// The next batch is written, and the answer is lost.
    LoseFlushAnswer,
    /// The store goes down, or comes back.
    StoreSwitch,
    /// What a dead replica had handed to the store is written after all.
    LateWrite,
    /// The next commit of an offset does not arrive.
    LoseCommit,
    /// A replica's wall clock is set.
    SetClock,
    /// The endpoint of a model gets better or worse.
    ChangeWeather,
    /// A request whose sender has given it up is applied after all.
    LateApply,
    /// A person retries an undelivered record.
    PersonRetries,
    /// A person pauses the destination, or lets it go on.
    PauseSwitch,
    /// A replica reads its configuration again, in which something may have changed.
    Configure,
    /// The oldest records of a partition expire.
    Retain,
    /// The source's versions begin anew, an hour later.
    GoBack,
    /// Somebody raises the source's generation.
    RaiseGeneration,
    /// A person lets the destination go on, whether it is paused or held.
    PersonResumes,
    /// A topic gets more partitions, whatever is on its way.
    Grow,
}

/// What happens anyway, by weight.
const ALWAYS: [(Happening, usize); 8] = [
    (Happening::Produce, 14),
    (Happening::Read, 16),
    (Happening::Answer, 16),
    (Happening::Serve, 14),
    (Happening::Hear, 14),
    (Happening::PassTime, 5),
    (Happening::Settle, 6),
    (Happening::LookOut, 1),
];

/// Kinds of fault, each with what undoes it: a seed takes all of one or nothing.
const FAULTS: [&[Happening]; 18] = [
    &[Happening::Rebalance],
    &[Happening::Crash],
    &[Happening::Crash, Happening::LateWrite],
    &[Happening::Stop],
    &[Happening::Freeze, Happening::Thaw, Happening::Thaw],
    &[Happening::Expire],
    &[Happening::RefuseFlush],
    &[Happening::LoseFlushAnswer],
    &[Happening::StoreSwitch],
    &[Happening::LoseCommit],
    &[Happening::SetClock],
    &[Happening::LateApply],
    &[Happening::PersonRetries],
    &[Happening::PauseSwitch, Happening::LookOut],
    &[Happening::Configure],
    &[Happening::Retain],
    &[Happening::Grow, Happening::LookOut],
    &[
        Happening::GoBack,
        Happening::RaiseGeneration,
        Happening::PersonResumes,
        Happening::LookOut,
    ],
];

/// The rules of one world.
#[derive(Debug, Clone)]
pub struct Rules {
    pub steps: usize,
    /// What may happen, by weight.
    pub happenings: Vec<(Happening, usize)>,
    /// What an endpoint may do; it begins with the first, and `Happening::ChangeWeather` moves it.
    pub weathers: Vec<Weather>,
    /// Keys that the consumer cannot take.
    pub poison: Vec<(String, Poison)>,
    /// The consumer may claim to hold what it does not.
    pub may_lie: bool,
    /// What the consumer holds already was not to be sent, at some time.
    pub may_skip: bool,
    pub knobs: Knobs,
}

/// Settings that change what is likely.
#[derive(Debug, Clone, Copy)]
pub struct Knobs {
    pub concurrency: usize,
    pub is_adaptive: bool,
    pub max_retries: u32,
    pub in_place: u32,
    pub parked_max: u64,
    pub buffer_bytes_max: usize,
    /// Requests a second of all replicas.
    pub rate_limit: f64,
    /// What the consumer holds already is not sent.
    pub skip_unchanged: bool,
    /// Records of a request; none where each has one of its own.
    pub batch: Option<Batch>,
    /// A share of what is produced cannot be decoded.
    pub rubbish_percent: usize,
}

/// The most that shares a request.
#[derive(Debug, Clone, Copy)]
pub struct Batch {
    pub records: usize,
    pub bytes: usize,
    /// Records that the consumer takes at once; more are too large for it.
    pub digestible: usize,
}

impl Batch {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            records: dice.pick(&[2, 3, 8]),
            bytes: dice.pick(&[1 << 20, 1 << 20, 600]),
            digestible: dice.pick(&[8, 8, 2, 1]),
        }
    }
}

impl Knobs {
    /// What a person may change while replicas run. The world counts by the rest.
    fn turn(&mut self, dice: &mut Dice) {
        self.concurrency = dice.pick(&[1, 3, 3, 8]);
        self.is_adaptive = dice.happens(50);
        self.buffer_bytes_max = dice.pick(&[1 << 20, 1 << 20, 3_000]);
        self.skip_unchanged = dice.happens(40);
        self.batch = dice.happens(40).then(|| Batch::draw(dice));
    }
}

impl Rules {
    /// Changes the configuration that replicas read when they start, or read it again.
    pub fn change_configuration(&mut self, dice: &mut Dice) {
        self.knobs.turn(dice);
        self.may_skip |= self.knobs.skip_unchanged;
    }

    /// Nothing goes wrong.
    pub fn calm(dice: &mut Dice) -> Self {
        let max_retries = dice.pick(&[3, 3, 1, 0]);
        let skip_unchanged = dice.happens(40);
        let steps = 200 + dice.below(500);
        Self {
            steps,
            happenings: ALWAYS.to_vec(),
            weathers: vec![Weather::Well],
            poison: vec![],
            may_lie: false,
            may_skip: skip_unchanged,
            knobs: Knobs {
                concurrency: dice.pick(&[1, 3, 3, 8]),
                is_adaptive: steps.is_multiple_of(2),
                max_retries,
                in_place: dice.pick(&[0, 1, 2]).min(max_retries),
                parked_max: dice.pick(&[1_000, 1_000, 6]),
                buffer_bytes_max: dice.pick(&[1 << 20, 1 << 20, 3_000]),
                rate_limit: dice.pick(&[0.0, 0.0, 0.0, 10.0, 50.0]),
                skip_unchanged,
                batch: dice.happens(40).then(|| Batch::draw(dice)),
                rubbish_percent: 0,
            },
        }
    }

    /// Whatever this seed draws goes wrong.
    pub fn swarm(dice: &mut Dice) -> Self {
        let mut rules = Self::calm(dice);
        let share = dice.pick(&[20, 50, 80]);
        for fault in FAULTS {
            if dice.happens(share) {
                let weight = 1 + dice.below(3);
                rules
                    .happenings
                    .extend(fault.iter().map(|kind| (*kind, weight)));
            }
        }
        if rules.may(Happening::Retain) {
            // A failure for each gap stays, and would hold everything for ever.
            rules.knobs.parked_max = 1_000;
        }
        for weather in Weather::BAD {
            if dice.happens(share / 2) {
                rules.weathers.push(weather);
            }
        }
        if rules.weathers.len() > 1 {
            rules
                .happenings
                .push((Happening::ChangeWeather, 1 + dice.below(3)));
        }
        if dice.happens(share) {
            rules.poison_keys(dice);
        }
        rules.may_lie = dice.happens(share / 3);
        rules.knobs.rubbish_percent = dice.pick(&[0, 0, 3]);
        rules
    }

    /// One or two keys, fewer than open a breaker, and of two partitions: sound ones beside them let it close again.
    pub fn poison_keys(&mut self, dice: &mut Dice) {
        let mut taken = None;
        for _ in 0..=dice.below(2) {
            let key = dice.pick(&Topics::default().keys());
            let poison = dice.pick(&Poison::ALL);
            if taken.replace(key.partition.clone()) != Some(key.partition) {
                self.poison.push((key.name, poison));
            }
        }
    }

    fn may(&self, wanted: Happening) -> bool {
        self.happenings.iter().any(|(kind, _)| *kind == wanted)
    }

    pub fn allow(&mut self, happening: Happening, weight: usize) {
        self.happenings.push((happening, weight));
    }

    pub fn draw(&self, dice: &mut Dice) -> Happening {
        let sum = self.happenings.iter().map(|(_, weight)| weight).sum();
        let mut at = dice.below(sum);
        for (happening, weight) in &self.happenings {
            if at < *weight {
                return *happening;
            }
            at -= weight;
        }
        unreachable!("the sum of the weights is {sum}")
    }
}
