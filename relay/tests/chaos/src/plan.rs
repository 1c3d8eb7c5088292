//! What goes wrong when, drawn from a seed.
//!
//! Everything that can fail has a track of its own, on which one fault follows the other; the tracks run side by side.

use std::time::Duration;

use crate::dice::{Dice, dice_of};
use crate::turns::Turn;

/// The relays' names, and the destinations'.
pub const RELAYS: [&str; 3] = ["relay-1", "relay-2", "relay-3"];
pub const DESTINATIONS: [&str; 2] = ["billing", "search"];

/// How long a member may be silent before the group gives its partitions away.
pub const SESSION: Duration = Duration::from_secs(6);

/// A fault, and how long nothing goes wrong before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step<F> {
    pub after: Duration,
    pub fault: F,
}

/// What happens to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayFault {
    /// kill -9, and started again after that long.
    Kill(Duration),
    /// SIGTERM, and started again that long after its end.
    Stop(Duration),
    /// SIGSTOP, and SIGCONT after that long.
    Freeze(Duration),
    /// Another configuration.
    Turn(Turn),
}

/// What happens to Kafka or PostgreSQL: it is away for that long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outage {
    pub is_crash: bool,
    pub away: Duration,
}

/// What happens to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nobody listens.
    Refusing(Duration),
    /// Every answer is of one kind.
    Weather(Weather, Duration),
    /// An operator pauses it.
    Paused(Duration),
}

/// What every answer is while the weather is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    Error500,
    Unavailable,
    Throttling,
    Unauthorized,
    Silent,
    Slow,
}

/// All tracks.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    /// One for each of [`RELAYS`].
    pub relays: Vec<Vec<Step<RelayFault>>>,
    pub kafka: Vec<Step<Outage>>,
    pub postgres: Vec<Step<Outage>>,
    /// One for each of [`DESTINATIONS`].
    pub destinations: Vec<Vec<Step<Trouble>>>,
}

impl Plan {
    /// The same for the same seed. Nothing begins after `lasting`.
    pub fn draw(seed: u64, lasting: Duration) -> Self {
        let track = |name: &str| Track {
            dice: dice_of(seed, name),
            lasting,
        };
        Self {
            relays: RELAYS
                .iter()
                .map(|name| track(name).draw(0..4, relay_fault))
                .collect(),
            kafka: track("kafka").draw(30..50, |dice| outage(dice, 0..5)),
            postgres: track("postgres").draw(12..30, |dice| outage(dice, 0..6)),
            destinations: DESTINATIONS
                .iter()
                .map(|name| track(name).draw(4..14, trouble))
                .collect(),
        }
    }
}

struct Track {
    dice: Dice,
    lasting: Duration,
}

impl Track {
    fn draw<F>(
        mut self,
        calm_seconds: std::ops::Range<u64>,
        mut fault: impl FnMut(&mut Dice) -> (F, Duration),
    ) -> Vec<Step<F>> {
        let mut steps = vec![];
        let mut passed = Duration::ZERO;
        loop {
            let after = between(&mut self.dice, &calm_seconds);
            if passed + after > self.lasting {
                return steps;
            }
            let (fault, takes) = fault(&mut self.dice);
            passed += after + takes;
            steps.push(Step { after, fault });
        }
    }
}

/// A static member that comes back within its session takes its own partitions again; one that stays away, or is frozen
/// for longer, loses them.
fn relay_fault(dice: &mut Dice) -> (RelayFault, Duration) {
    if dice.happens(25) {
        return (RelayFault::Turn(Turn::draw(dice)), Duration::ZERO);
    }
    // Nobody can tell whether one that is away for nearly a session has lost its partitions.
    let away = match dice.below(10) {
        0..6 => between(dice, &(0..3)),
        6 => between(dice, &(SESSION.as_secs() - 2..SESSION.as_secs() + 1)),
        _ => SESSION + between(dice, &(1..4)),
    };
    let fault = match dice.below(3) {
        0 => RelayFault::Kill(away),
        1 => RelayFault::Stop(away),
        _ => RelayFault::Freeze(away),
    };
    (fault, away)
}

fn outage(dice: &mut Dice, seconds: std::ops::Range<u64>) -> (Outage, Duration) {
    let away = between(dice, &seconds);
    let is_crash = dice.happens(50);
    (Outage { is_crash, away }, away)
}

fn trouble(dice: &mut Dice) -> (Trouble, Duration) {
    let lasting = between(dice, &(1..6));
    let weathers = [
        Weather::Error500,
        Weather::Unavailable,
        Weather::Throttling,
        Weather::Unauthorized,
        Weather::Silent,
        Weather::Slow,
    ];
    let trouble = match dice.below(6) {
        0 => Trouble::Refusing(lasting),
        1 => Trouble::Paused(lasting),
        _ => Trouble::Weather(dice.pick(&weathers), lasting),
    };
    (trouble, lasting)
}

fn between(dice: &mut Dice, seconds: &std::ops::Range<u64>) -> Duration {
    let millis = (seconds.end - seconds.start) * 1_000;
    let more = dice.below(usize::try_from(millis).unwrap());
    Duration::from_secs(seconds.start) + Duration::from_millis(u64::try_from(more).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::turns::Told;

    const MINUTES: Duration = Duration::from_secs(600);

    #[test]
    fn a_seed_draws_the_same_plan_every_time_and_another_seed_another() {
        assert_eq!(Plan::draw(7, MINUTES), Plan::draw(7, MINUTES));
        assert_ne!(Plan::draw(7, MINUTES), Plan::draw(8, MINUTES));
    }

    #[test]
    fn a_longer_plan_begins_like_a_shorter_one() {
        let (short, long) = (
            Plan::draw(7, Duration::from_secs(60)),
            Plan::draw(7, MINUTES),
        );
        for (short, long) in short.relays.iter().zip(&long.relays) {
            assert!(long.len() > short.len());
            assert_eq!(&long[..short.len()], &short[..]);
        }
    }

    #[test]
    fn every_kind_of_fault_is_drawn() {
        let plan = Plan::draw(1, MINUTES);
        let relays: Vec<_> = plan
            .relays
            .iter()
            .flatten()
            .map(|step| step.fault)
            .collect();
        assert!(
            relays
                .iter()
                .any(|fault| matches!(fault, RelayFault::Kill(_)))
        );
        assert!(
            relays
                .iter()
                .any(|fault| matches!(fault, RelayFault::Stop(_)))
        );
        let frozen =
            |fault: &RelayFault| matches!(fault, RelayFault::Freeze(long) if *long > SESSION);
        assert!(relays.iter().any(frozen));
        for wanted in [Told::Signal, Told::Request, Told::File] {
            let is_told =
                |fault: &RelayFault| matches!(fault, RelayFault::Turn(turn) if turn.told == wanted);
            assert!(relays.iter().any(is_told), "{wanted:?}");
        }
        for outages in [&plan.kafka, &plan.postgres] {
            assert!(outages.iter().any(|step| step.fault.is_crash));
            assert!(outages.iter().any(|step| !step.fault.is_crash));
        }
    }
}
