//! What a process has used, as Linux tells it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

/// Clock ticks a second in `/proc/PID/stat`: 100 on every Linux of today (`getconf CLK_TCK`).
const TICKS_PER_SECOND: u64 = 100;

/// A process at a moment.
#[derive(Debug, Clone, Copy)]
pub struct Usage {
    pub at: Instant,
    /// User and system time of all its threads.
    pub cpu: Duration,
    pub resident_bytes: u64,
}

impl Usage {
    pub fn of(pid: u32) -> anyhow::Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::read_to_string(&path).with_context(|| path)
        };
        let ticks =
            cpu_ticks(&read("stat")?).ok_or_else(|| anyhow!("/proc/{pid}/stat is unreadable"))?;
        let kib =
            resident_kib(&read("status")?).ok_or_else(|| anyhow!("process {pid} has ended"))?;
        Ok(Self {
            at: Instant::now(),
            cpu: Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND),
            resident_bytes: kib * 1024,
        })
    }

    /// CPU microseconds per record since an earlier moment.
    pub fn cpu_us_per_record(&self, since: &Self, records: u64) -> f64 {
        per(self.cpu.saturating_sub(since.cpu), records) * 1e6
    }

    pub fn records_per_second(&self, since: &Self, records: u64) -> f64 {
        1.0 / per(self.at - since.at, records)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of records stay far below 2^52"
)]
fn per(duration: Duration, records: u64) -> f64 {
    duration.as_secs_f64() / records as f64
}

/// User and system ticks: fields 14 and 15, counted behind the name, which may hold spaces.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_name_with_spaces() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 4 0 100 1000 10";
        assert_eq!(cpu_ticks(stat), Some(300));
    }

    #[test]
    fn a_process_knows_its_own_usage() {
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.resident_bytes > 0);
    }
}
