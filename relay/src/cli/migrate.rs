//! `migrate`: the store's numbered migrations.

use relay_core::time::rfc3339;
use serde_json::{Value, json};

use super::arguments::MigrateArguments;
use super::failure::Failure;
use super::output::Output;
use crate::config::Config;
use crate::store::{self, Migration, StoreError};

pub fn run(config: &Config, flags: &MigrateArguments, output: &mut Output) -> Result<(), Failure> {
    let migrations = super::runtime()?.block_on(async {
        let store = store::open(&config.open_store())?;
        if !flags.dry_run && !flags.status {
            store.migrate().await?;
            // The log takes rows only where partitions are.
            store.maintain().await?;
        }
        store.migrations().await
    });
    let migrations = migrations.map_err(|error: StoreError| {
        Failure::Failed(format!("store {}: {error}", config.store.url))
    })?;
    for migration in migrations {
        if flags.dry_run && migration.applied_at.is_some() {
            continue;
        }
        if output.is_json() {
            output.object(&object(&migration))?;
        } else {
            output.line(&line(&migration, flags))?;
        }
    }
    Ok(())
}

fn object(migration: &Migration) -> Value {
    json!({ "name": migration.name, "applied_at": migration.applied_at.map(rfc3339) })
}

fn line(migration: &Migration, flags: &MigrateArguments) -> String {
    let name = &migration.name;
    match migration.applied_at {
        Some(at) => format!("{name}  applied {}", rfc3339(at)),
        None if flags.dry_run => format!("{name}  would be applied"),
        None => format!("{name}  pending"),
    }
}
