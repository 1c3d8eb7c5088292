//! From a row's COMMIT in Rails to the consumer's answer, at a steady rate that leaves the relay idle most of the time.

use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::wait::wait_until;
use serde_json::json;

use crate::report::{Report, quantile};
use crate::sink::{Sink, header};
use crate::traffic::{CONCURRENCY, DESTINATION, MODEL, PARTITIONS, SOURCE};
use crate::usage::Usage;

/// Rows written before counting, while connections open and the group settles.
const WARM_UP: u64 = 200;

const PATIENCE: Duration = Duration::from_secs(60);

/// Moments by key, in nanoseconds since 1970: the clock that two processes share.
type Moments = HashMap<String, u64>;

pub fn run(relay: &Path, rate: u64, seconds: u64) -> anyhow::Result<Report> {
    ensure!(
        rate > 0 && seconds > 0,
        "rate and seconds must be above 0, not {rate} and {seconds}"
    );
    let records = rate * seconds;
    let answered: Arc<Mutex<Moments>> = Arc::default();
    let noting = answered.clone();
    let sink = Sink::start(move |request| note_answer(&noting, request))?;

    let scene = Scene::new();
    scene.create_topic(SOURCE, DESTINATION, MODEL, PARTITIONS);
    let config = RelayConfig::new(&scene).destination(DESTINATION, &sink.url(), "");
    let mut process = RelayProcess::start_ready(relay, config);
    let mut writer = Writer::start(&scene.topic_prefix(), records, rate)?;
    wait_until("the first records", PATIENCE, || sink.count() >= WARM_UP);
    let before = Usage::of(process.pid())?;
    let committed = writer.write()?;
    wait_until("the last record", PATIENCE, || {
        sink.count() >= WARM_UP + records
    });
    let after = Usage::of(process.pid())?;
    process.terminate(PATIENCE);

    let milliseconds = latencies(&committed, &answered.lock().expect("no panic"))?;
    ensure!(
        milliseconds.len() as u64 == records,
        "{} of {records} rows were timed",
        milliseconds.len()
    );
    let cpu = after.cpu_us_per_record(&before, records);
    Ok(report(
        &milliseconds,
        records,
        rate,
        cpu,
        after.resident_bytes,
    ))
}

/// A Rails process that creates rows.
struct Writer(Child);

impl Writer {
    fn start(topic_prefix: &str, records: u64, rate: u64) -> anyhow::Result<Self> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("latency/writer.rb");
        let child = Command::new("ruby")
            .arg(&script)
            .arg(topic_prefix)
            .args([WARM_UP, records, rate].map(|number| number.to_string()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| script.display().to_string())?;
        Ok(Self(child))
    }

    /// Lets it write, and hears when each row was committed.
    fn write(&mut self) -> anyhow::Result<Moments> {
        let mut input = self.0.stdin.take().context("its input is ours")?;
        writeln!(input, "go")?;
        let mut output = String::new();
        let pipe = self.0.stdout.take().context("its output is ours")?;
        BufReader::new(pipe).read_to_string(&mut output)?;
        let ended = self.0.wait()?;
        ensure!(ended.success(), "the writer failed: {ended}");
        Ok(serde_json::from_str(&output)?)
    }
}

impl Drop for Writer {
    /// A benchmark that failed leaves no process behind; its input ends, and so does it.
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        // It has ended already when all went well.
        let _ = self.0.wait();
    }
}

fn note_answer(answered: &Mutex<Moments>, request: &[u8]) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    let now = u64::try_from(now.as_nanos()).expect("before 2554");
    if let Some(key) = header(request, "replicates-to-key") {
        let mut answered = answered.lock().expect("no panic");
        answered.entry(key.to_owned()).or_insert(now);
    }
}

fn latencies(committed: &Moments, answered: &Moments) -> anyhow::Result<Vec<f64>> {
    committed
        .iter()
        .map(|(key, commit)| {
            let answer = answered.get(key).context("a row was not answered")?;
            Ok(Duration::from_nanos(answer.saturating_sub(*commit)).as_secs_f64() * 1e3)
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
            "partitions": PARTITIONS, "concurrency": CONCURRENCY, "store": "postgres", "from": "COMMIT in Rails",
        }),
        baseline: None,
        against: None,
    }
}
