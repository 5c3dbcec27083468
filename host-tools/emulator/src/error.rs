//! What can go wrong between a plan and its counts.

use std::path::PathBuf;

/// Why firmware was not built, not run, or not counted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Firmware is built from the project's sources.
    #[error("the sources of the firmware are not at {}", .0.display())]
    NoSources(PathBuf),

    /// A program that is needed is not installed.
    #[error("{0} is not installed")]
    NoProgram(String),

    /// A program could not be started for another reason.
    #[error("{program} could not be started: {error}")]
    Start { program: String, error: std::io::Error },

    /// A program that was started did not succeed.
    #[error("{status}: {command}{}", said(.output))]
    Failed { command: String, status: std::process::ExitStatus, output: String },

    /// The Rust compiler cannot make code for the board.
    #[error("the Rust compiler has no library for {triple}, which the board's core runs")]
    NoTarget { triple: &'static str },

    #[error("there is no board {name}; there are {known}")]
    NoBoard { name: String, known: String },

    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },

    /// A file that is not what it should be.
    #[error("{}: {reason}", path.display())]
    Unexpected { path: PathBuf, reason: String },

    /// The plan does not fit into the board.
    #[error("the {board} has {given} bytes for {what}, {needed} are needed")]
    TooLarge { board: &'static str, what: &'static str, needed: u64, given: u64 },

    /// The program on the board gave up.
    #[error("the image ended with code {code}")]
    Ended { code: i32 },

    #[error("the image has not ended after {seconds} s")]
    Unfinished { seconds: u64 },

    /// The log of counts, or the image's report, is not what was expected.
    #[error("instruction counts: {0}")]
    Counts(String),
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Maker of [`Error::File`].
    pub fn file(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::File { path, error }
    }
}

fn said(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!("\n{output}") }
}
