//! `check`: tests what the configuration points at, and sends no record.

mod certificates;
mod expiry;
mod kafka;
mod report;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::arguments::CheckArguments;
use super::failure::{FAILED, Failure};
use super::output::Output;
use crate::clock::Clock;
use crate::config::{Config, Environment};
use crate::http::dial::{Protocols, dial};
use crate::http::target::Target;
use crate::http::{Reach, Reaches};
use crate::store::{self, StoreError};
use relay_core::request::Url;
use relay_core::settings::Destination;
use report::Report;

/// For each question to the store.
const STORE_TIMEOUT: Duration = Duration::from_secs(10);

pub fn run(path: &Path, flags: &CheckArguments, output: &mut Output) -> Result<ExitCode, Failure> {
    let config = Config::load(path, &Environment::of_process())?;
    let mut report = Report::new(output);
    check_settings(path, &config, &mut report)?;
    if !flags.offline {
        let runtime = super::runtime()?;
        runtime.block_on(check_store(&config, &mut report))?;
        runtime.block_on(kafka::check(&config, flags.create_topics, &mut report))?;
        runtime.block_on(check_destinations(&config, &mut report))?;
    }
    let has_problems = report.finish()?;
    Ok(ExitCode::from(if has_problems { FAILED } else { 0 }))
}

fn check_settings(path: &Path, config: &Config, report: &mut Report<'_>) -> Result<(), Failure> {
    let (enabled, disabled) = (
        config.destinations.len(),
        config.disabled_destinations.len(),
    );
    let destinations = format!(
        "{}, {enabled} destinations, {disabled} disabled",
        path.display()
    );
    if enabled == 0 {
        report.warn(
            "config",
            &format!("{destinations}: nothing will be delivered"),
        )?;
    } else {
        report.ok("config", &destinations)?;
    }
    report.ok("secrets", "all references lead somewhere")?;
    let now = Clock::start().now().wall;
    for destination in &config.destinations {
        warn_of_unsigned(destination, report)?;
        certificates::check(destination, now, report)?;
    }
    Ok(())
}

fn warn_of_unsigned(destination: &Destination, report: &mut Report<'_>) -> Result<(), Failure> {
    if destination.route.signing.is_empty() {
        report.warn(
            &destination.name,
            "requests are not signed: set signing.secrets",
        )?;
    }
    for (model, route) in &destination.routes {
        // Where the destination is unsigned too, it was said already.
        if route.signing.is_empty() && !destination.route.signing.is_empty() {
            let message =
                format!("requests of {model} are not signed: its signing.secrets is empty");
            report.warn(&destination.name, &message)?;
        }
    }
    Ok(())
}

async fn check_store(config: &Config, report: &mut Report<'_>) -> Result<(), Failure> {
    let shown = config.store.url.to_string();
    let store = match store::open(&config.open_store()) {
        Ok(store) => store,
        Err(error) => return Ok(report.fail("store", &format!("{shown}: {error}"))?),
    };
    if let Err(error) = within_time(store.ping()).await {
        return Ok(report.fail("store", &format!("{shown}: {error}"))?);
    }
    report.ok("store", &shown)?;
    match within_time(store.require_migrated()).await {
        Ok(()) => report.ok("migrations", "all are applied")?,
        Err(error) => return Ok(report.fail("migrations", &error)?),
    }
    match within_time(store.partitions()).await {
        Ok(partitions) if partitions.next_is_missing => report.fail(
            "partitions",
            "the next partition of the log is missing: run `replicates-relay migrate`, or start a relay",
        )?,
        Ok(partitions) => report.ok("partitions", &format!("{} ahead", partitions.ahead))?,
        Err(error) => report.fail("partitions", &error)?,
    }
    Ok(())
}

async fn within_time<T>(
    question: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, String> {
    match timeout(STORE_TIMEOUT, question).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {STORE_TIMEOUT:?}")),
    }
}

/// Looks each server up and connects, with TLS where the URL says so.
async fn check_destinations(config: &Config, report: &mut Report<'_>) -> Result<(), Failure> {
    let reaches = Reaches::read()?;
    for destination in &config.destinations {
        let reach = reaches
            .of(destination)
            .map_err(|error| Failure::Failed(error.to_string()))?;
        for url in servers(destination) {
            match connect(&url.example(), destination, &reach).await {
                Ok(()) => report.ok(&destination.name, &format!("{url} accepts connections"))?,
                Err(error) => report.fail(&destination.name, &format!("{url}: {error}"))?,
            }
        }
        for url in token_urls(destination) {
            match connect(&url, destination, &reach).await {
                Ok(()) => report.ok(&destination.name, &format!("{url} accepts connections"))?,
                Err(error) => report.fail(&destination.name, &format!("{url}: {error}"))?,
            }
        }
    }
    Ok(())
}

/// One URL for each server that a destination sends to.
fn servers(destination: &Destination) -> Vec<&Url> {
    let mut servers: Vec<&Url> = Vec::new();
    for route in std::iter::once(&destination.route).chain(destination.routes.values()) {
        if servers
            .iter()
            .all(|known| known.origin() != route.url.origin())
        {
            servers.push(&route.url);
        }
    }
    servers
}

/// Where a destination asks for tokens.
fn token_urls(destination: &Destination) -> BTreeSet<Arc<str>> {
    let routes = std::iter::once(&destination.route).chain(destination.routes.values());
    let grants = routes.filter_map(|route| route.grant.as_ref());
    grants.map(|grant| grant.token_url.clone()).collect()
}

async fn connect(url: &str, destination: &Destination, reach: &Reach) -> Result<(), String> {
    let target = Target::parse(url).map_err(|error| error.to_string())?;
    match dial(
        &target.origin,
        destination.connect_timeout,
        reach,
        Protocols::All,
    )
    .await
    {
        Ok(_) => Ok(()),
        Err(failure) => Err(format!("{} ({})", failure.error, failure.class.as_str())),
    }
}
