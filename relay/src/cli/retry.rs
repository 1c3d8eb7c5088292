//! `retry`: sends deliveries again, each on its own.

use std::process::ExitCode;

use serde_json::json;

use super::arguments::RelayArguments;
use super::client::{Client, segment};
use super::failure::{FAILED, Failure};
use super::output::Output;

pub fn run(
    ids: &[String],
    relay: &RelayArguments,
    output: &mut Output,
) -> Result<ExitCode, Failure> {
    let client = Client::new(relay);
    let mut code = ExitCode::SUCCESS;
    for id in ids {
        match client.write(&format!("/deliveries/{}/retry", segment(id)), &json!({})) {
            Ok(answer) if output.is_json() => output.object(&answer)?,
            Ok(_) => output.line(&format!("{id} will be sent again"))?,
            // The others can still be sent: an API that is away would refuse them all.
            Err(failure @ (Failure::Failed(_) | Failure::Usage(_))) => {
                output.message(&failure.to_string());
                code = ExitCode::from(FAILED);
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(code)
}
