//! A relay works off a full topic: CPU per record, records a second, memory that must stay flat.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use relay_test_support::kafka::Producer;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::wait::wait_until;
use serde_json::json;

use crate::report::{Baseline, Report, quantile};
use crate::sink::{Sink, records_in};
use crate::traffic::{self, CONCURRENCY, DESTINATION, PARTITIONS};
use crate::usage::Usage;

/// CPU and memory are looked at after each so many records.
const STEP: u64 = 100_000;

/// A relay that delivers nothing for so long has stopped.
const PATIENCE: Duration = Duration::from_secs(60);

/// So often two builds work off the records, each of them: as often first as second.
const ROUNDS: usize = 6;

/// With `batch`, so many records may share a request. With `against`, that build of the relay takes turns with `relay`
/// on the same records.
pub fn run(
    relay: &Path,
    against: Option<&Path>,
    records: u64,
    batch: Option<u64>,
) -> anyhow::Result<Vec<Report>> {
    ensure!(
        records > 0 && records.is_multiple_of(STEP),
        "records must be a multiple of {STEP}, not {records}"
    );
    let topic = Scene::new();
    publish(&topic, records);
    let load = Load {
        topic,
        records,
        batch,
    };
    let name = ["relay", "relay_batch"][usize::from(batch.is_some())];
    let Some(against) = against else {
        return Ok(vec![load.report(name, &[load.play(relay, None)?])]);
    };
    let defaults = defaults_of(against)?;
    let (mut now, mut before) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // The first of two has another machine than the second.
        if round % 2 == 0 {
            before.push(load.play(against, Some(&defaults))?);
        }
        now.push(load.play(relay, None)?);
        if round % 2 == 1 {
            before.push(load.play(against, Some(&defaults))?);
        }
    }
    let ratios = now
        .iter()
        .zip(&before)
        .map(|(now, before)| load.cpu_us_per_record(now) / load.cpu_us_per_record(before));
    let ratio = median(ratios.collect());
    let name_before = ["relay, before", "relay_batch, before"][usize::from(batch.is_some())];
    let before = load.report(name_before, &before);
    let mut now = load.report(name, &now);
    now.against = Some(Baseline {
        name: before.name,
        value: before.value,
        ratio,
    });
    Ok(vec![before, now])
}

/// What a build says that it can be configured with.
fn defaults_of(relay: &Path) -> anyhow::Result<String> {
    let output = Command::new(relay)
        .args(["config", "--defaults"])
        .output()
        .with_context(|| relay.display().to_string())?;
    ensure!(
        output.status.success(),
        "{} config --defaults: {}",
        relay.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

/// What waits for a relay.
struct Load {
    topic: Scene,
    records: u64,
    batch: Option<u64>,
}

/// What a relay used that worked off a load.
struct Round {
    /// At its first record, and after each step.
    moments: Vec<Usage>,
    body_bytes: usize,
    floor: f64,
}

impl Load {
    /// With a group and a store of its own, so that a relay finds all records undelivered. `older` are the defaults of a
    /// build that may not know every key.
    fn play(&self, relay: &Path, older: Option<&str>) -> anyhow::Result<Round> {
        let scene = Scene::new();
        let sink = Sink::start(|_| {})?;
        let batching = self
            .batch
            .map(|records| format!("batch = {{ max_records = {records} }}"));
        let lines = batching.unwrap_or_default();
        let mut config = RelayConfig::new(&scene).topics_of(&self.topic).destination(
            DESTINATION,
            &sink.url(),
            &lines,
        );
        if let Some(defaults) = older {
            config = config.for_older(defaults);
        }
        let mut process = RelayProcess::start(relay, config);
        let moments = watch(&sink, &mut process, self.records)?;
        check_log(&scene, self.records);
        process.terminate(PATIENCE);
        drop(process);

        let request = sink.largest_request();
        Ok(Round {
            moments,
            body_bytes: request.len() - head_length(&request)?,
            floor: measure_floor(&request, self.records.min(2 * STEP))?,
        })
    }

    fn cpu_us_per_record(&self, round: &Round) -> f64 {
        let last = round.moments[round.moments.len() - 1];
        last.cpu_us_per_record(&round.moments[0], self.records)
    }

    fn report(&self, name: &'static str, rounds: &[Round]) -> Report {
        let ends = |round: &Round| (round.moments[0], round.moments[round.moments.len() - 1]);
        let cpu = |round: &Round| self.cpu_us_per_record(round);
        let rate = |round: &Round| {
            let (first, last) = ends(round);
            last.records_per_second(&first, self.records)
        };
        let steps: Vec<_> = rounds
            .iter()
            .flat_map(|round| round.moments.windows(2))
            .map(|pair| pair[1].cpu_us_per_record(&pair[0], STEP))
            .collect();
        let value = mean(rounds.iter().map(cpu));
        let floor = mean(rounds.iter().map(|round| round.floor));
        let last = &rounds[rounds.len() - 1];
        Report {
            name,
            unit: "us_per_record",
            value,
            min: quantile(&steps, 0.0),
            median: quantile(&steps, 0.5),
            p99: quantile(&steps, 0.99),
            samples: steps.len(),
            records: self.records,
            cpu_us_per_record: value,
            records_per_second: mean(rounds.iter().map(rate)),
            memory_bytes: last.moments[1..]
                .iter()
                .map(|moment| moment.resident_bytes)
                .collect(),
            settings: json!({
                "partitions": PARTITIONS, "concurrency": CONCURRENCY, "body_bytes": last.body_bytes,
                "batch_max_records": self.batch.unwrap_or(1), "store": "postgres", "log_body": "failures",
                "rounds": rounds.iter().map(cpu).collect::<Vec<_>>(),
            }),
            baseline: Some(Baseline {
                name: "http_floor",
                value: floor,
                ratio: value / floor,
            }),
            against: None,
        }
    }
}

fn publish(scene: &Scene, records: u64) {
    let topic = scene.create_topic(traffic::SOURCE, DESTINATION, traffic::MODEL, PARTITIONS);
    let producer = Producer::new();
    for version in 1..=records {
        producer.send(&topic, &traffic::record(version));
    }
    producer.flush();
}

/// The relay at its first record, and after each step.
fn watch(sink: &Sink, relay: &mut RelayProcess, records: u64) -> anyhow::Result<Vec<Usage>> {
    let mut moments = Vec::new();
    let mut progress = (0, Instant::now());
    let mut next = 1;
    while next <= records {
        let count = sink.count();
        if count >= next {
            moments.push(Usage::of(relay.pid())?);
            next = if next == 1 { STEP } else { next + STEP };
        }
        if count > progress.0 {
            progress = (count, Instant::now());
        }
        ensure!(
            progress.1.elapsed() < PATIENCE && relay.ended().is_none(),
            "the relay stopped after {count} records:\n{}",
            relay.output()
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(moments)
}

/// A fast relay that logs nothing would be none.
fn check_log(scene: &Scene, records: u64) {
    let sql = "select count(*) from attempts where outcome = 'delivered'";
    wait_until("a row of the log for every record", PATIENCE, || {
        scene.database.number(sql).unsigned_abs() == records
    });
    let acknowledged = scene.database.number("select count(*) from ledger");
    assert_eq!(acknowledged.unsigned_abs(), records, "rows of the ledger");
}

/// CPU microseconds per record of a bare client that posts the same bytes over as many connections.
fn measure_floor(request: &[u8], records: u64) -> anyhow::Result<f64> {
    let shared = records_in(request);
    let requests = records.div_ceil(shared);
    let sink = Sink::start(|_| {})?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("request");
    std::fs::write(&file, request)?;
    let output = Command::new(std::env::current_exe()?)
        .args(["floor", "--address", &sink.address().to_string()])
        .arg("--request")
        .arg(&file)
        .args([
            "--requests",
            &requests.to_string(),
            "--connections",
            &CONCURRENCY.to_string(),
        ])
        .output()?;
    ensure!(
        output.status.success(),
        "http_floor: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    ensure!(
        sink.count() == requests * shared,
        "http_floor posted {} of {} records",
        sink.count(),
        requests * shared
    );
    let of_a_request: f64 = String::from_utf8(output.stdout)?
        .trim()
        .parse()
        .context("http_floor's output")?;
    #[expect(clippy::cast_precision_loss, reason = "records of one request")]
    let shared = shared as f64;
    Ok(of_a_request / shared)
}

pub fn head_length(request: &[u8]) -> anyhow::Result<usize> {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n");
    Ok(end.context("a request without an end of its head")? + 4)
}

/// The middle of an even number of values: a round beside which something else ran does not move it.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    f64::midpoint(values[middle - 1], values[middle])
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a handful of rounds")]
    let count = values.len() as f64;
    values.sum::<f64>() / count
}
