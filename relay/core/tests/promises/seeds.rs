//! Playing many seeds: on all cores, and once more with a trace for the one that breaks a promise.

use std::any::Any;
use std::cell::Cell;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, Once};

use super::{Dice, Rules, World};

/// Lines of the trace that are shown, where a seed was not asked for by itself.
const LINES_MAX: usize = 60;

/// Seeds to play.
pub struct Seeds {
    first: u64,
    count: u64,
    /// `bin/test sim` plays them, too.
    is_sim: bool,
    /// Somebody waits for the figures.
    is_asked_for: bool,
}

impl Seeds {
    pub fn first(count: u64) -> Self {
        Self {
            first: 1,
            count,
            is_sim: false,
            is_asked_for: false,
        }
    }

    /// What `bin/test sim` asks for, or the first `count`.
    pub fn asked_for(count: u64) -> Self {
        let asked = (number_in("SIM_SEED"), number_in("SIM_SEEDS"));
        Self {
            first: asked.0.unwrap_or(1),
            count: asked.1.or(asked.0.map(|_| 1)).unwrap_or(count),
            is_sim: true,
            is_asked_for: asked != (None, None),
        }
    }

    /// Plays the life of a world for each seed; panics with the first that breaks a promise, and its last steps.
    pub fn play(&self, rules: fn(&mut Dice) -> Rules, life: fn(&mut World)) {
        let next = AtomicU64::new(self.first);
        let (steps, broken) = (AtomicUsize::new(0), Mutex::new(None::<u64>));
        let work = || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= self.first + self.count || broken.lock().unwrap().is_some() {
                    return;
                }
                let mut world = world_of(seed, rules);
                let played = quietly(|| life(&mut world));
                steps.fetch_add(world.steps, Ordering::Relaxed);
                if played.is_err() {
                    let mut broken = broken.lock().unwrap();
                    *broken = Some(broken.map_or(seed, |other| other.min(seed)));
                }
            }
        };
        std::thread::scope(|scope| {
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        if let Some(seed) = *broken.lock().unwrap() {
            panic!("{}", self.replay(seed, rules, life));
        }
        if self.is_asked_for {
            let steps = steps.load(Ordering::Relaxed);
            // Not by println!, which the test runner keeps to itself.
            let mut output = std::io::stdout();
            writeln!(
                output,
                "sim: {} seeds from {}, {steps} steps: every promise was kept",
                self.count, self.first
            )
            .unwrap();
        }
    }

    /// Plays a seed once more, and tells what happened.
    fn replay(&self, seed: u64, rules: fn(&mut Dice) -> Rules, life: fn(&mut World)) -> String {
        let mut world = world_of(seed, rules);
        world.trace = Some(vec![]);
        let broken = match quietly(|| life(&mut world)) {
            Ok(()) => {
                "it went well the second time: the simulation is not deterministic".to_owned()
            }
            Err(panic) => text_of(panic.as_ref()),
        };
        let trace = world.trace.take().unwrap_or_default();
        let lines_max = if self.count == 1 {
            usize::MAX
        } else {
            LINES_MAX
        };
        let trace = trace[trace.len().saturating_sub(lines_max)..].join("\n  ");
        let command = if self.is_sim {
            format!("bin/test sim --seed {seed}")
        } else {
            "this test, which plays the same seeds every time".to_owned()
        };
        format!(
            "seed {seed} broke a promise at step {}:\n{broken}\n\nthe last steps:\n  {trace}\n\nreplay: {command}",
            world.steps
        )
    }
}

fn world_of(seed: u64, rules: fn(&mut Dice) -> Rules) -> World {
    let mut dice = Dice::new(seed);
    World::new(rules(&mut dice), dice)
}

thread_local! {
    /// A panic of this thread is told by [`replay`].
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Catches a panic without the runner's message: many threads may meet one.
fn quietly(play: impl FnOnce()) -> std::thread::Result<()> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                usual(panic);
            }
        }));
    });
    IS_QUIET.set(true);
    let played = catch_unwind(AssertUnwindSafe(play));
    IS_QUIET.set(false);
    played
}

fn text_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "a panic without words".to_owned())
}

#[expect(
    clippy::disallowed_methods,
    reason = "how bin/test sim says what to play"
)]
fn number_in(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}")),
    )
}
