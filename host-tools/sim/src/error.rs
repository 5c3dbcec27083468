use std::path::PathBuf;

/// Why a simulation could not be made, or came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: std::io::Error },
    #[error("latencies, line {line}: {cities} times in milliseconds, divided by commas, are needed there")]
    Latencies { line: usize, cities: usize },
    #[error("nothing to train: `--pictures FOLDER` or `--ratings FILE` is needed")]
    NoTask,
    #[error("{path}, line {line}: {what}")]
    Data { path: PathBuf, line: usize, what: &'static str },
    #[error("no round has begun for {waited} ms behind round {round}, at {at} ms")]
    Stalled { round: u32, at: u64, waited: u64 },
    #[error("nobody waits for anything any more in round {round}, at {at} ms")]
    Ended { round: u32, at: u64 },
}
