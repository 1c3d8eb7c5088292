//! From a record's commit to the consumer's answer, at a steady rate that leaves the relay idle most of the time.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::ensure;
use relay_test_support::kafka::Producer;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::wait::wait_until;
use serde_json::json;

use crate::report::{Report, quantile};
use crate::sink::{Sink, header};
use crate::traffic::{self, CONCURRENCY, DESTINATION, PARTITIONS};
use crate::usage::Usage;

/// Records sent before counting, while connections open and the group settles.
const WARM_UP: u64 = 200;

const PATIENCE: Duration = Duration::from_secs(60);

/// When each version was committed, and when it was answered first.
type Times = Arc<Mutex<Vec<(Option<Instant>, Option<Instant>)>>>;

pub fn run(relay: &Path, rate: u64, seconds: u64) -> anyhow::Result<Report> {
    ensure!(
        rate > 0 && seconds > 0,
        "rate and seconds must be above 0, not {rate} and {seconds}"
    );
    let records = rate * seconds;
    let total = WARM_UP + records;
    let times: Times = Arc::new(Mutex::new(vec![(None, None); usize::try_from(total)? + 1]));
    let answered = times.clone();
    let sink = Sink::start(move |request| note_answer(&answered, request))?;

    let scene = Scene::new();
    let topic = scene.create_topic(traffic::SOURCE, DESTINATION, traffic::MODEL, PARTITIONS);
    let config = RelayConfig::new(&scene).destination(DESTINATION, &sink.url(), "");
    let mut process = RelayProcess::start_ready(relay, config);
    let producer = Producer::new();
    let publish = |version: u64| {
        let record = traffic::record(version);
        times.lock().expect("no panic")[index(version)].0 = Some(Instant::now());
        producer.send(&topic, &record);
        producer.poll();
    };

    (1..=WARM_UP).for_each(publish);
    wait_until("the first records", PATIENCE, || sink.count() >= WARM_UP);
    let before = Usage::of(process.pid())?;
    let started = Instant::now();
    for number in 1..=records {
        let due = started + Duration::from_secs(1) * u32::try_from(number)? / u32::try_from(rate)?;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        publish(WARM_UP + number);
    }
    wait_until("the last record", PATIENCE, || sink.count() >= total);
    let after = Usage::of(process.pid())?;
    process.terminate(PATIENCE);

    let milliseconds = latencies(&times);
    let cpu = after.cpu_us_per_record(&before, records);
    Ok(report(
        &milliseconds,
        records,
        rate,
        cpu,
        after.resident_bytes,
    ))
}

fn note_answer(times: &Times, request: &[u8]) {
    let version = header(request, "replicates-to-version").and_then(|text| text.parse().ok());
    let mut times = times.lock().expect("no panic");
    if let Some((_, answered)) = version.and_then(|version: u64| times.get_mut(index(version))) {
        answered.get_or_insert_with(Instant::now);
    }
}

fn index(version: u64) -> usize {
    usize::try_from(version).expect("a 64-bit machine")
}

fn latencies(times: &Times) -> Vec<f64> {
    let times = times.lock().expect("no panic");
    let counted = times[index(WARM_UP) + 1..].iter();
    counted
        .map(|(committed, answered)| {
            let latency = answered.expect("answered") - committed.expect("committed");
            latency.as_secs_f64() * 1e3
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a rate stays far below 2^52")]
fn report(milliseconds: &[f64], records: u64, rate: u64, cpu: f64, resident_bytes: u64) -> Report {
    let median = quantile(milliseconds, 0.5);
    Report {
        name: "latency",
        unit: "ms",
        value: median,
        min: quantile(milliseconds, 0.0),
        median,
        p99: quantile(milliseconds, 0.99),
        samples: milliseconds.len(),
        records,
        cpu_us_per_record: cpu,
        records_per_second: rate as f64,
        memory_bytes: vec![resident_bytes],
        settings: json!({
            "partitions": PARTITIONS, "concurrency": CONCURRENCY, "store": "postgres",
        }),
        baseline: None,
    }
}
