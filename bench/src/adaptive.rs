//! What becomes of an endpoint that bears so many requests at once, with `adaptive` and without: real sockets, real time.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::ensure;
use relay_test_support::kafka::Producer;
use relay_test_support::relay::{RelayConfig, RelayProcess};
use relay_test_support::scene::Scene;
use relay_test_support::wait::wait_until;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::report::{Baseline, Report, quantile};
use crate::sink::{ANSWER, listen, request_length};
use crate::traffic::{self, CONCURRENCY, DESTINATION, PARTITIONS};

const REFUSAL: &[u8] = b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n";

/// A limit begins low: for so long it is watched, and not counted.
const WARM_UP: Duration = Duration::from_secs(3);

const PATIENCE: Duration = Duration::from_secs(60);

/// How an endpoint works.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    work: Duration,
    /// Requests that it works on at once; others wait.
    workers: usize,
    /// More at once are refused.
    refuses_above: usize,
}

const KINDS: [Kind; 3] = [
    Kind {
        name: "adaptive, healthy",
        work: Duration::from_millis(20),
        workers: Semaphore::MAX_PERMITS,
        refuses_above: usize::MAX,
    },
    Kind {
        name: "adaptive, 8 workers",
        work: Duration::from_millis(50),
        workers: 8,
        refuses_above: usize::MAX,
    },
    Kind {
        name: "adaptive, 429 above 10",
        work: Duration::from_millis(20),
        workers: Semaphore::MAX_PERMITS,
        refuses_above: 10,
    },
];

/// For each kind of endpoint, what it answers a second, beside the same without `adaptive`.
pub fn run(relay: &Path, seconds: u64) -> anyhow::Result<Vec<Report>> {
    ensure!(seconds > 0, "seconds must be above 0");
    let play = |kind| {
        let fixed = watch(relay, kind, "adaptive = false", seconds)?;
        let adaptive = watch(relay, kind, "adaptive = true", seconds)?;
        Ok(report(kind, &adaptive, &fixed, seconds))
    };
    KINDS.into_iter().map(play).collect()
}

/// What was seen, second by second.
struct Seen {
    limits: Vec<f64>,
    answered: Vec<f64>,
    refused: usize,
    latencies_ms: Vec<f64>,
}

impl Seen {
    fn told(&self) -> Value {
        let p99 = (!self.latencies_ms.is_empty()).then(|| quantile(&self.latencies_ms, 0.99));
        json!({ "limits": self.limits, "refused": self.refused, "latency_p99_ms": p99 })
    }
}

fn watch(relay: &Path, kind: Kind, setting: &str, seconds: u64) -> anyhow::Result<Seen> {
    let endpoint = Endpoint::start(kind)?;
    let scene = Scene::new();
    let topic = scene.create_topic(traffic::SOURCE, DESTINATION, traffic::MODEL, PARTITIONS);
    let at_once = CONCURRENCY.min(kind.workers) as u128;
    let enough = at_once * 1_000 * u128::from(seconds + 10) / kind.work.as_millis();
    let producer = Producer::new();
    for version in 1..=u64::try_from(enough)? {
        producer.send(&topic, &traffic::record(version));
    }
    producer.flush();
    let config = RelayConfig::new(&scene).destination(DESTINATION, &endpoint.url, setting);
    let mut process = RelayProcess::start(relay, config);
    wait_until("the first answer", PATIENCE, || endpoint.answered() > 0);
    thread::sleep(WARM_UP);
    endpoint.forget();
    let mut seen = Seen {
        limits: vec![],
        answered: vec![],
        refused: 0,
        latencies_ms: vec![],
    };
    let name = format!("concurrency_limit{{destination=\"{DESTINATION}\"}}");
    for _ in 0..seconds {
        let before = endpoint.answered();
        thread::sleep(Duration::from_secs(1));
        #[expect(clippy::cast_precision_loss, reason = "counts of a second")]
        seen.answered.push((endpoint.answered() - before) as f64);
        seen.limits.extend(process.metric(&name));
    }
    seen.refused = endpoint.work.refused.load(Ordering::Relaxed);
    seen.latencies_ms
        .clone_from(&endpoint.work.latencies_ms.lock().expect("no panic"));
    process.kill();
    Ok(seen)
}

struct Endpoint {
    url: String,
    work: Arc<Work>,
}

struct Work {
    kind: Kind,
    workers: Semaphore,
    at_once: AtomicUsize,
    refused: AtomicUsize,
    /// Of those that were answered, from the request to its answer.
    latencies_ms: Mutex<Vec<f64>>,
}

impl Endpoint {
    fn start(kind: Kind) -> anyhow::Result<Self> {
        let work = Arc::new(Work {
            kind,
            workers: Semaphore::new(kind.workers),
            at_once: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            latencies_ms: Mutex::default(),
        });
        let working = work.clone();
        let address = listen(move |stream| serve(stream, working.clone()))?;
        let url = format!("http://{address}/");
        Ok(Self { url, work })
    }

    fn answered(&self) -> usize {
        self.work.latencies_ms.lock().expect("no panic").len()
    }

    /// Counting begins.
    fn forget(&self) {
        self.work.latencies_ms.lock().expect("no panic").clear();
        self.work.refused.store(0, Ordering::Relaxed);
    }
}

/// Serves a connection until the client ends it, or breaks it, which is the client's to say.
async fn serve(mut stream: TcpStream, work: Arc<Work>) {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let length = loop {
            match request_length(&buffer) {
                Some(length) if length <= buffer.len() => break length,
                _ if matches!(stream.read_buf(&mut buffer).await, Ok(count) if count > 0) => {}
                _ => return,
            }
        };
        buffer.drain(..length);
        if stream.write_all(work.answer().await).await.is_err() {
            return;
        }
    }
}

impl Work {
    async fn answer(&self) -> &'static [u8] {
        let came = Instant::now();
        let before = self.at_once.fetch_add(1, Ordering::Relaxed);
        let is_refused = before >= self.kind.refuses_above;
        if !is_refused {
            let _worker = self.workers.acquire().await;
            tokio::time::sleep(self.kind.work).await;
        }
        self.at_once.fetch_sub(1, Ordering::Relaxed);
        if is_refused {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return REFUSAL;
        }
        let milliseconds = came.elapsed().as_secs_f64() * 1e3;
        let mut latencies = self.latencies_ms.lock().expect("no panic");
        latencies.push(milliseconds);
        ANSWER
    }
}

fn report(kind: Kind, adaptive: &Seen, fixed: &Seen, seconds: u64) -> Report {
    let watched = Duration::from_secs(seconds).as_secs_f64();
    let rate = |seen: &Seen| seen.answered.iter().sum::<f64>() / watched;
    let (value, without) = (rate(adaptive), rate(fixed));
    Report {
        name: kind.name,
        unit: "answers_per_second",
        value,
        min: quantile(&adaptive.answered, 0.0),
        median: quantile(&adaptive.answered, 0.5),
        p99: quantile(&adaptive.answered, 0.99),
        samples: adaptive.answered.len(),
        records: adaptive.latencies_ms.len() as u64,
        cpu_us_per_record: 0.0,
        records_per_second: value,
        memory_bytes: vec![],
        settings: json!({
            "concurrency": CONCURRENCY, "seconds": seconds,
            "adaptive": adaptive.told(), "fixed": fixed.told(),
        }),
        baseline: Some(Baseline {
            name: "fixed",
            value: without,
            ratio: value / without,
        }),
        against: None,
    }
}
