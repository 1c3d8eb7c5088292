//! `timestamptz` as the relay's moments: microseconds, on the wire since 2000-01-01.

use relay_core::time::Timestamp;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};

/// 2000-01-01 in microseconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// `timestamptz` and its array, from `pg_type.dat`.
const OID: Oid = Oid(1184);
const ARRAY_OID: Oid = Oid(1185);

/// A moment on its way to or from Postgres.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub Timestamp);

impl Moment {
    /// As COPY BINARY and bound parameters carry it.
    pub(super) fn wire(self) -> i64 {
        self.0.as_microsecond() - POSTGRES_EPOCH
    }
}

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(OID)
    }
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(ARRAY_OID)
    }
}

impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <i64 as Encode<Postgres>>::encode(self.wire(), buffer)
    }
}

impl Decode<'_, Postgres> for Moment {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        let wire = <i64 as Decode<Postgres>>::decode(value)?;
        let unix = wire
            .checked_add(POSTGRES_EPOCH)
            .ok_or("a moment after the last there is")?;
        Ok(Self(Timestamp::from_microsecond(unix)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_counts_from_the_year_2000() {
        let moment = Moment("2000-01-01T00:00:00.000001Z".parse().unwrap());
        assert_eq!(moment.wire(), 1);
    }
}
