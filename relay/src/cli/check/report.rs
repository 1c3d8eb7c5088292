//! The lines of a check: `ok`, `warn`, `FAIL`, and how many.

use std::io;

use serde_json::json;

use crate::cli::output::Output;

/// Counts what it prints.
pub struct Report<'a> {
    output: &'a mut Output,
    problems: usize,
    warnings: usize,
}

impl<'a> Report<'a> {
    pub fn new(output: &'a mut Output) -> Self {
        Self {
            output,
            problems: 0,
            warnings: 0,
        }
    }

    pub fn ok(&mut self, name: &str, detail: &str) -> io::Result<()> {
        self.print("ok", name, detail)
    }

    /// Works, and should be looked at.
    pub fn warn(&mut self, name: &str, detail: &str) -> io::Result<()> {
        self.warnings += 1;
        self.print("warn", name, detail)
    }

    pub fn fail(&mut self, name: &str, detail: &str) -> io::Result<()> {
        self.problems += 1;
        self.print("FAIL", name, detail)
    }

    /// Prints the counts; whether there was a problem.
    pub fn finish(self) -> io::Result<bool> {
        if !self.output.is_json() {
            let plural = |count: usize| if count == 1 { "" } else { "s" };
            self.output.line(&format!(
                "{} problem{}, {} warning{}",
                self.problems,
                plural(self.problems),
                self.warnings,
                plural(self.warnings)
            ))?;
        }
        Ok(self.problems > 0)
    }

    fn print(&mut self, result: &str, name: &str, detail: &str) -> io::Result<()> {
        if self.output.is_json() {
            let result = result.to_lowercase();
            return self
                .output
                .object(&json!({ "result": result, "name": name, "detail": detail }));
        }
        self.output
            .line(&format!("{result:<4}  {name:<18}  {detail}"))
    }
}
