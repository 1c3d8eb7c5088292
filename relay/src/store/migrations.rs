//! The numbered migrations that this binary carries, and what a store says of them.

use relay_core::time::Timestamp;
use sqlx::migrate::Migrator;

use super::upkeep::Migration;

/// `migrations/` at the top of the repository.
pub(super) static POSTGRES: Migrator = sqlx::migrate!("../migrations");
/// `migrations/sqlite/`: the same numbers.
pub(super) static SQLITE: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Each migration, and when it was applied according to the store.
pub(super) fn status(
    migrator: &Migrator,
    applied_at: impl Fn(i64) -> Option<Timestamp>,
) -> Vec<Migration> {
    migrator
        .iter()
        .map(|migration| Migration {
            name: format!(
                "{:04}_{}",
                migration.version,
                migration.description.replace(' ', "_")
            ),
            applied_at: applied_at(migration.version),
        })
        .collect()
}

/// The names of what was pending before and is not any more.
pub(super) fn applied(before: &[Migration], after: &[Migration]) -> Vec<String> {
    before
        .iter()
        .zip(after)
        .filter(|(before, after)| before.applied_at.is_none() && after.applied_at.is_some())
        .map(|(_, after)| after.name.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_stores_have_the_same_numbers() {
        let names = |migrator| -> Vec<String> {
            status(migrator, |_| None)
                .into_iter()
                .map(|migration| migration.name)
                .collect()
        };
        assert_eq!(names(&POSTGRES), names(&SQLITE));
        assert_eq!(names(&POSTGRES)[0], "0001_store");
    }
}
