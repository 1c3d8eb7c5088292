//! Records that Kafka will delete before anybody has read them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use relay_core::names::Partition;
use relay_core::settings::Destination;
use relay_core::time::Timestamp;

use super::report::Report;
use crate::cli::failure::Failure;
use crate::clock::Clock;
use crate::config::{Config, format_duration};
use crate::kafka::{Policy, unread_before};

/// Warns of each topic whose oldest unread record has used up half of its time; it is given with the number of its partitions.
/// Blocks: nothing else waits here.
pub fn check(
    config: &Config,
    destination: &Destination,
    topics: &BTreeMap<Arc<str>, (usize, Policy)>,
    report: &mut Report<'_>,
) -> Result<(), Failure> {
    let now = Clock::start().now().wall;
    let mut partitions = BTreeMap::new();
    for (topic, (count, policy)) in topics {
        let moment = policy
            .warning_age()
            .and_then(|age| now.checked_sub(age).ok());
        for number in (0..).take(*count) {
            let topic = topic.clone();
            partitions.insert(Partition { topic, number }, moment);
        }
    }
    let unread = match unread_before(&config.kafka, destination, partitions) {
        Ok(unread) => unread,
        Err(error) => {
            let message = format!("cannot look for records that are about to expire: {error}");
            return Ok(report.warn(&destination.name, &message)?);
        }
    };
    for (topic, (_, policy)) in topics {
        let of_topic = unread
            .iter()
            .filter(|(partition, _)| partition.topic == *topic);
        let oldest = of_topic.clone().min_by_key(|(_, time)| **time);
        let (Some((partition, time)), Some(retention)) = (oldest, policy.retention) else {
            continue;
        };
        let others = match of_topic.count() - 1 {
            0 => String::new(),
            1 => " (and in 1 more partition)".to_owned(),
            count => format!(" (and in {count} more partitions)"),
        };
        let message = format!(
            "{topic}/{}: the oldest unread record is {} old, and is deleted when it is {} old{others}: \
             raise the topic's retention.ms, or let the destination go on",
            partition.number,
            rounded(age(*time, now)),
            format_duration(retention),
        );
        report.warn(&destination.name, &message)?;
    }
    Ok(())
}

fn age(time: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(time)).unwrap_or_default()
}

/// In the largest unit of which there are two, which is all that people want to know.
fn rounded(age: Duration) -> String {
    let seconds = age.as_secs();
    let unit = [86_400, 3_600, 60]
        .into_iter()
        .find(|unit| seconds >= 2 * unit);
    format_duration(Duration::from_secs(seconds - seconds % unit.unwrap_or(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_as_people_say_it() {
        let cases = [
            (0, "0ms"),
            (119, "119s"),
            (3_700, "61m"),
            (47 * 3_600 + 59, "47h"),
            (4 * 86_400 + 40_000, "4d"),
        ];
        for (seconds, text) in cases {
            assert_eq!(rounded(Duration::from_secs(seconds)), text);
        }
    }
}
