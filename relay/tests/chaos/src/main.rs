//! `bin/test chaos --seconds N --seed S`: real relays between a real Kafka and a real PostgreSQL, all of which are killed,
//! stopped and frozen, in front of endpoints that fail in every way, while a producer writes. Then the faults end, and
//! everything must be delivered, or be visible as a failure, and as promised.
//!
//! A run: [`plan`] draws from the seed what goes wrong when; [`stage`] sets the scene; in the [`storm`]
//! [`relay`], [`services`] and [`destination`] let it happen, beside the [`writer`] and the [`watch`] over commits;
//! [`evidence`] is gathered, and [`checks`] are made.
//!
//! The services are those of `$SERVICES_DIR`; they are restarted, so nobody else may use them.
mod arguments;
mod carried;
mod checks;
mod consumer;
mod destination;
mod dice;
mod eras;
mod evidence;
mod lives;
mod moment;
mod plan;
mod relay;
mod report;
mod services;
mod stage;
mod storm;
mod topics;
mod turns;
mod watch;
mod writer;

use std::process::ExitCode;
use std::time::Duration;

use arguments::Arguments;
use stage::Stage;

/// How long anything may take that must happen once no fault is left.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments = match Arguments::read(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(wrong) => {
            eprintln!("chaos: {wrong}");
            return ExitCode::from(2);
        }
    };
    let Arguments { seconds, seed } = arguments;
    println!(
        "chaos: {seconds} s of faults, seed {seed}; again: bin/test chaos --seconds {seconds} --seed {seed}"
    );
    let report = Stage::set(seed).play(Duration::from_secs(seconds));
    report.print();
    if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
