//! Running many steps to the end: errors are collected, not stopped at the first.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

/// What one step found.
#[derive(Default, Clone, Copy, Serialize, Deserialize)]
pub struct Tally {
    pub passed: usize,
    pub failed: usize,
}

/// The steps so far.
#[derive(Default, Serialize, Deserialize)]
pub struct Steps {
    done: Vec<Done>,
}

#[derive(Serialize, Deserialize)]
struct Done {
    name: String,
    outcome: Outcome,
    took: Duration,
}

#[derive(Serialize, Deserialize)]
enum Outcome {
    Counted(Tally),
    /// With the error.
    Failed(String),
    Skipped(String),
}

impl Steps {
    /// Runs a step that holds or does not.
    pub fn run<E: Into<anyhow::Error>>(&mut self, name: &str, step: impl FnOnce() -> Result<(), E>) {
        self.tests(name, || step().map(|()| Tally { passed: 1, failed: 0 }).map_err(Into::into));
    }

    /// Runs a step that counts tests of its own.
    pub fn tests(&mut self, name: &str, step: impl FnOnce() -> Result<Tally>) {
        eprintln!("\n== {name}");
        let begin = Instant::now();
        let outcome = match step() {
            Ok(tally) => Outcome::Counted(tally),
            Err(error) => {
                eprintln!("{name}: {error:#}");
                Outcome::Failed(format!("{error:#}"))
            }
        };
        self.done.push(Done { name: name.into(), outcome, took: begin.elapsed() });
    }

    /// Notes a step that can't be run here.
    pub fn skip(&mut self, name: &str, reason: impl Into<String>) {
        let reason = reason.into();
        eprintln!("\n== {name}: skipped, {reason}");
        self.done.push(Done { name: name.into(), outcome: Outcome::Skipped(reason), took: Duration::ZERO });
    }

    /// Writes the steps for [`Steps::take`].
    pub fn write(&self, report: &Path) -> Result<()> {
        Ok(fs::write(report, serde_json::to_vec(self)?)?)
    }

    /// Takes over the steps that another process wrote.
    pub fn take(&mut self, report: &Path) -> Result<()> {
        self.done.extend(serde_json::from_slice::<Self>(&fs::read(report)?)?.done);
        Ok(())
    }

    /// All tests of all steps; a step without tests of its own counts as one.
    pub fn tally(&self) -> Tally {
        let mut sum = Tally::default();
        for done in &self.done {
            match done.outcome {
                Outcome::Counted(tally) => {
                    sum.passed += tally.passed;
                    sum.failed += tally.failed;
                }
                Outcome::Failed(_) => sum.failed += 1,
                Outcome::Skipped(_) => {}
            }
        }
        sum
    }

    /// Prints the summary; an error if anything failed.
    pub fn finish(self) -> Result<()> {
        println!("\nSummary");
        for done in &self.done {
            let (mark, text) = match &done.outcome {
                Outcome::Counted(Tally { passed, failed: 0 }) => ("ok     ", format!("{passed} passed")),
                Outcome::Counted(Tally { passed, failed }) => {
                    ("FAILED ", format!("{passed} passed, {failed} failed"))
                }
                Outcome::Failed(error) => ("FAILED ", first_line(error)),
                Outcome::Skipped(reason) => ("skipped", reason.clone()),
            };
            println!("  {mark} {:44} {:>6.1} s  {text}", done.name, done.took.as_secs_f32());
        }
        let Tally { passed, failed } = self.tally();
        println!("{passed} passed, {failed} failed");
        if failed > 0 {
            bail!("{failed} failed");
        }
        Ok(())
    }
}

fn first_line(error: &str) -> String {
    error.lines().next().unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_another_process_are_counted() -> Result<()> {
        let mut theirs = Steps::default();
        theirs.tests("counted", || Ok(Tally { passed: 3, failed: 1 }));
        theirs.run("failed", || Err(anyhow::anyhow!("first\nsecond")));
        theirs.skip("skipped", "nothing there");
        let report = std::env::temp_dir().join(format!("mote-steps-{}.json", std::process::id()));
        theirs.write(&report)?;
        let mut steps = Steps::default();
        steps.run("own", || Ok::<_, anyhow::Error>(()));
        let taken = steps.take(&report);
        fs::remove_file(&report)?;
        taken?;
        let Tally { passed, failed } = steps.tally();
        assert_eq!((steps.done.len(), passed, failed), (4, 4, 2));
        assert!(steps.take(&report).is_err());
        Ok(())
    }
}
