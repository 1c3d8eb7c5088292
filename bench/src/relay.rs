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

/// With `batch`, so many records may share a request.
pub fn run(relay: &Path, records: u64, batch: Option<u64>) -> anyhow::Result<Report> {
    ensure!(
        records > 0 && records.is_multiple_of(STEP),
        "records must be a multiple of {STEP}, not {records}"
    );
    let scene = Scene::new();
    publish(&scene, records);
    let sink = Sink::start(|_| {})?;
    let batching = batch.map(|records| format!("batch = {{ max_records = {records} }}"));
    let lines = batching.unwrap_or_default();
    let config = RelayConfig::new(&scene).destination(DESTINATION, &sink.url(), &lines);
    let mut process = RelayProcess::start(relay, config);
    let moments = watch(&sink, process.pid(), records)?;
    check_log(&scene, records);
    process.terminate(PATIENCE);
    drop(process);

    let request = sink.largest_request();
    let body_bytes = request.len() - head_length(&request)?;
    let floor = measure_floor(&request, records.min(2 * STEP))?;
    Ok(report(&moments, records, batch, body_bytes, floor))
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
fn watch(sink: &Sink, pid: u32, records: u64) -> anyhow::Result<Vec<Usage>> {
    let mut moments = Vec::new();
    let mut progress = (0, Instant::now());
    let mut next = 1;
    while next <= records {
        let count = sink.count();
        if count >= next {
            moments.push(Usage::of(pid)?);
            next = if next == 1 { STEP } else { next + STEP };
        }
        if count > progress.0 {
            progress = (count, Instant::now());
        }
        ensure!(
            progress.1.elapsed() < PATIENCE,
            "the relay stopped after {count} records"
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

fn report(
    moments: &[Usage],
    records: u64,
    batch: Option<u64>,
    body_bytes: usize,
    floor: f64,
) -> Report {
    let (first, last) = (&moments[0], &moments[moments.len() - 1]);
    let steps: Vec<_> = moments
        .windows(2)
        .map(|pair| pair[1].cpu_us_per_record(&pair[0], STEP))
        .collect();
    let value = last.cpu_us_per_record(first, records);
    Report {
        name: if batch.is_some() {
            "relay_batch"
        } else {
            "relay"
        },
        unit: "us_per_record",
        value,
        min: quantile(&steps, 0.0),
        median: quantile(&steps, 0.5),
        p99: quantile(&steps, 0.99),
        samples: steps.len(),
        records,
        cpu_us_per_record: value,
        records_per_second: last.records_per_second(first, records),
        memory_bytes: moments[1..]
            .iter()
            .map(|moment| moment.resident_bytes)
            .collect(),
        settings: json!({
            "partitions": PARTITIONS, "concurrency": CONCURRENCY, "body_bytes": body_bytes,
            "batch_max_records": batch.unwrap_or(1), "store": "postgres", "log_body": "failures",
        }),
        baseline: Some(Baseline {
            name: "http_floor",
            value: floor,
            ratio: value / floor,
        }),
    }
}
