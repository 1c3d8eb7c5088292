//! What holds for the process: `[relay]`, `[log]`, `[telemetry]`.

use std::time::Duration;

use super::section::Section;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// `[relay]`
#[derive(Debug, Clone)]
pub struct Relay {
    /// This replica: in the log, in metrics, and as the static member of its groups.
    pub name: String,
    pub drain_timeout: Duration,
    /// Bytes of records held in memory.
    pub buffer_bytes_max: u64,
}

impl Relay {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let name = if section.optional("name").is_some() {
            section.text(
                "name",
                "1 to 100 of the characters A-Z a-z 0-9 . _ -",
                |text| is_replica_name(text).then(|| text.to_owned()),
            )
        } else {
            let host = replica_name_of_host();
            section.show("name", host.clone());
            Some(host)
        };
        let drain_timeout = section.duration("drain_timeout", SECOND..=10 * MINUTE);
        let buffer_bytes_max = section.size("buffer_max", 1 << 20..=1 << 40);
        section.refuse_unknown_keys();
        Some(Self {
            name: name?,
            drain_timeout: drain_timeout?,
            buffer_bytes_max: buffer_bytes_max?,
        })
    }
}

/// What Kafka accepts as a static member's id.
fn is_replica_name(text: &str) -> bool {
    (1..=100).contains(&text.len()) && text.bytes().all(is_replica_name_byte)
}

fn is_replica_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn replica_name_of_host() -> String {
    let host = gethostname::gethostname();
    let name: String = host
        .to_string_lossy()
        .bytes()
        .filter(|byte| is_replica_name_byte(*byte))
        .take(100)
        .map(char::from)
        .collect();
    if name.is_empty() {
        "relay".to_owned()
    } else {
        name
    }
}

/// `[log]`: how the log of attempts is written.
#[derive(Debug, Clone, Copy)]
pub struct Log {
    pub flush_interval: Duration,
    pub flush_rows: usize,
    /// Bodies are kept as zstd.
    pub is_compressed: bool,
}

impl Log {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let flush_interval =
            section.duration("flush_interval", Duration::from_millis(10)..=10 * SECOND);
        let flush_rows = section.integer("flush_rows", 1..=50_000);
        let is_compressed = section.flag("compress");
        section.refuse_unknown_keys();
        Some(Self {
            flush_interval: flush_interval?,
            flush_rows: flush_rows? as usize,
            is_compressed: is_compressed?,
        })
    }
}

/// `[telemetry]`: the process's own output.
#[derive(Debug, Clone, Copy)]
pub struct Telemetry {
    pub level: tracing::Level,
    /// None: JSON, and text on a terminal.
    pub format: Option<Format>,
}

/// How a line of the process's own output looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Json,
    Text,
}

impl Telemetry {
    pub(super) fn read(section: &Section<'_>) -> Option<Self> {
        let level = section.choice(
            "level",
            &[
                ("error", tracing::Level::ERROR),
                ("warn", tracing::Level::WARN),
                ("info", tracing::Level::INFO),
                ("debug", tracing::Level::DEBUG),
                ("trace", tracing::Level::TRACE),
            ],
        );
        let format = match section.optional("format") {
            None => Some(None),
            Some(_) => section
                .choice("format", &[("json", Format::Json), ("text", Format::Text)])
                .map(Some),
        };
        section.refuse_unknown_keys();
        Some(Self {
            level: level?,
            format: format?,
        })
    }
}
