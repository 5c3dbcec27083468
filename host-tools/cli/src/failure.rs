//! Errors as people read them: what was wrong, where, and what to do.

use miette::Diagnostic;
use mote_compiler::convert::ConvertError;
use std::path::{Path, PathBuf};

/// Everything that a command can fail with.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Failure {
    #[error("{}: {source}", path.display())]
    #[diagnostic(help("check the path and its permissions"))]
    File { path: PathBuf, source: std::io::Error },

    #[error("{}: {source}", path.display())]
    #[diagnostic(help("PNG and JPEG pictures can be read"))]
    Picture { path: PathBuf, source: image::ImageError },

    #[error("{}: {reason}", path.display())]
    #[diagnostic(help("save it with numpy.save, as float32 or as the plan's own element type, in C order"))]
    Npy { path: PathBuf, reason: String },

    #[error("{} could not be converted\n{source}", path.display())]
    Convert { path: PathBuf, source: Box<ConvertError> },

    #[error("{}: {source}", path.display())]
    #[diagnostic(help("plans are made by `mote convert`"))]
    Plan { path: PathBuf, source: mote_runtime::Error },

    #[error("{0}")]
    Usage(String),

    #[error("{message}")]
    Hint {
        message: String,
        #[help]
        help: String,
    },
}

pub type Outcome = Result<(), Failure>;

/// Reads a file.
pub fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|source| Failure::File { path: path.into(), source })
}

/// Writes a file as a whole, or not at all: a half-written plan must never lie where a whole one is expected.
pub fn write(path: &Path, bytes: &[u8]) -> Outcome {
    let failure = |source| Failure::File { path: path.into(), source };
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    let part = path.with_file_name(name);
    std::fs::write(&part, bytes).map_err(failure)?;
    std::fs::rename(&part, path).map_err(failure)
}
