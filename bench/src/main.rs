//! Benchmarks of the relay: real Kafka, real PostgreSQL, a real relay process, and an endpoint beside them.
//!
//! Prints one JSON object per result; `bin/bench` starts what is needed and makes the table. In this order:
//!
//! - [`relay`]: CPU, throughput and memory of a relay with a full topic before it, beside [`floor`]
//! - [`latency`]: from the commit in Rails to the consumer's answer
//! - [`adaptive`]: endpoints that bear so many requests at once
//! - [`sink`]: the endpoint
//! - [`usage`]: what a process has used
//! - [`report`]: the result as `bin/bench` keeps it
mod adaptive;
mod floor;
mod latency;
mod relay;
mod report;
mod sink;
mod traffic;
mod usage;

use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Records that share a request in `relay_batch`.
const BATCH_RECORDS: u64 = 100;

/// What is measured.
#[derive(Parser)]
#[command(about)]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// CPU per record of a relay that works off a full topic, and of a bare client that posts the same bytes.
    Relay {
        /// The release build of replicates-relay.
        #[arg(long)]
        relay: PathBuf,
        /// Another build of it, measured in turns with that one, on the same records.
        #[arg(long)]
        against: Option<PathBuf>,
        #[arg(long, default_value_t = 500_000)]
        records: u64,
    },
    /// The same with batches of up to 100 records; the bare client posts such a batch.
    RelayBatch {
        /// The release build of replicates-relay.
        #[arg(long)]
        relay: PathBuf,
        /// Another build of it, measured in turns with that one, on the same records.
        #[arg(long)]
        against: Option<PathBuf>,
        #[arg(long, default_value_t = 500_000)]
        records: u64,
    },
    /// Time from a row's COMMIT in Rails to the consumer's answer, at a steady rate.
    Latency {
        /// The release build of replicates-relay.
        #[arg(long)]
        relay: PathBuf,
        /// Rows a second.
        #[arg(long, default_value_t = 200)]
        rate: u64,
        #[arg(long, default_value_t = 30)]
        seconds: u64,
    },
    /// What endpoints answer that bear so many requests at once: the limit, refusals and latencies, with `adaptive` and
    /// without.
    Adaptive {
        /// The release build of replicates-relay.
        #[arg(long)]
        relay: PathBuf,
        /// How long each is watched.
        #[arg(long, default_value_t = 15)]
        seconds: u64,
    },
    /// Posts a request again and again over bare connections, and prints the CPU microseconds each cost. Started by
    /// `relay`, so that it has a process of its own.
    #[command(hide = true)]
    Floor {
        #[arg(long)]
        address: std::net::SocketAddr,
        /// A file that holds the request as it stood on the wire.
        #[arg(long)]
        request: PathBuf,
        #[arg(long)]
        requests: u64,
        #[arg(long)]
        connections: usize,
    },
}

fn main() -> anyhow::Result<()> {
    let line = match Arguments::parse().benchmark {
        Benchmark::Relay {
            relay,
            against,
            records,
        } => lines(&relay::run(&relay, against.as_deref(), records, None)?)?,
        Benchmark::RelayBatch {
            relay,
            against,
            records,
        } => {
            let batch = Some(BATCH_RECORDS);
            lines(&relay::run(&relay, against.as_deref(), records, batch)?)?
        }
        Benchmark::Latency {
            relay,
            rate,
            seconds,
        } => serde_json::to_string(&latency::run(&relay, rate, seconds)?)?,
        Benchmark::Adaptive { relay, seconds } => lines(&adaptive::run(&relay, seconds)?)?,
        Benchmark::Floor {
            address,
            request,
            requests,
            connections,
        } => floor::run(address, &std::fs::read(request)?, requests, connections)?.to_string(),
    };
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}

fn lines(reports: &[report::Report]) -> anyhow::Result<String> {
    let lines: Result<Vec<_>, _> = reports.iter().map(serde_json::to_string).collect();
    Ok(lines?.join("\n"))
}
