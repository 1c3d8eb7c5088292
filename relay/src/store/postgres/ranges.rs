//! The partitions that exist, as ranges of expiry.

use relay_core::time::Timestamp;
use sqlx::{PgConnection, Row};

use super::moment::Moment;

/// One partition of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub table: String,
    /// First moment in it.
    pub lower: Timestamp,
    /// First moment after it.
    pub upper: Timestamp,
}

/// Partitions by lower bound.
#[derive(Debug, Clone, Default)]
pub(super) struct Ranges(Vec<Range>);

impl Ranges {
    pub(super) fn new(mut ranges: Vec<Range>) -> Self {
        ranges.sort_by_key(|range| range.lower);
        Self(ranges)
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, Range> {
        self.0.iter()
    }

    /// The range that holds a moment.
    pub(super) fn around(&self, moment: Timestamp) -> Option<&Range> {
        let after = self.0.partition_point(|range| range.lower <= moment);
        self.0[..after].last().filter(|range| moment < range.upper)
    }

    /// The lower bound of the first range that begins after a moment.
    pub(super) fn next_lower(&self, moment: Timestamp) -> Option<Timestamp> {
        let after = self.0.partition_point(|range| range.lower <= moment);
        self.0.get(after).map(|range| range.lower)
    }

    /// The moment, or the nearest one before it that a partition takes, or the first there is. None without partitions.
    pub(super) fn clamp(&self, moment: Timestamp) -> Option<Timestamp> {
        let after = self.0.partition_point(|range| range.lower <= moment);
        match self.0[..after].last() {
            Some(range) if moment < range.upper => Some(moment),
            Some(range) => {
                Some(Timestamp::from_microsecond(range.upper.as_microsecond() - 1).ok()?)
            }
            None => self.0.first().map(|range| range.lower),
        }
    }
}

/// The database's clock.
pub(super) async fn find_now(connection: &mut PgConnection) -> Result<Timestamp, sqlx::Error> {
    let Moment(now) = sqlx::query_scalar("select clock_timestamp()")
        .fetch_one(connection)
        .await?;
    Ok(now)
}

/// The attached partitions, without those that are being detached: they refuse rows.
pub(super) async fn find_ranges(connection: &mut PgConnection) -> Result<Ranges, sqlx::Error> {
    let rows = sqlx::query(
        r"
        select quote_ident(child.relname) as relname,
          substring(bound from 'FROM \(''([^'']+)''\)')::timestamptz as lower,
          substring(bound from 'TO \(''([^'']+)''\)')::timestamptz as upper
        from pg_inherits
        join pg_class child on child.oid = pg_inherits.inhrelid
        cross join lateral pg_get_expr(child.relpartbound, child.oid) as bound
        where pg_inherits.inhparent = 'attempts'::regclass and not pg_inherits.inhdetachpending
        ",
    )
    .fetch_all(connection)
    .await?;
    let mut ranges = Vec::with_capacity(rows.len());
    for row in rows {
        let (lower, upper): (Moment, Moment) = (row.try_get("lower")?, row.try_get("upper")?);
        ranges.push(Range {
            table: row.try_get("relname")?,
            lower: lower.0,
            upper: upper.0,
        });
    }
    Ok(Ranges::new(ranges))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn ranges(bounds: &[(i64, i64)]) -> Ranges {
        Ranges::new(
            bounds
                .iter()
                .map(|&(lower, upper)| Range {
                    table: format!("p{lower}"),
                    lower: at(lower),
                    upper: at(upper),
                })
                .collect(),
        )
    }

    #[test]
    fn an_expiry_stays_where_a_partition_takes_it_and_else_goes_to_the_nearest() {
        let ranges = ranges(&[(20, 30), (10, 20), (50, 60)]);
        let microsecond = std::time::Duration::from_micros(1);
        for (asked, given) in [
            (at(5), at(10)),
            (at(10), at(10)),
            (at(29), at(29)),
            (at(30), at(30) - microsecond),
            (at(49), at(30) - microsecond),
            (at(55), at(55)),
            (at(1_000), at(60) - microsecond),
        ] {
            assert_eq!(ranges.clamp(asked), Some(given), "{asked}");
        }
        assert_eq!(Ranges::default().clamp(at(1)), None);
    }
}
