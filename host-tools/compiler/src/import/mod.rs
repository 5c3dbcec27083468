//! Foreign files to [`Graph`].
//!
//! An importer translates what it can and collects everything that it can't: [`ImportError::Unsupported`] lists
//! all offending nodes at once, each with the reason and the nearest thing that would work.

pub mod onnx;
pub mod tflite;

use crate::graph::Graph;
use std::fmt;

/// Why a file did not become a graph.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The bytes are not a model of the expected format, or are damaged.
    #[error("not a readable {format} model: {reason}")]
    Malformed { format: &'static str, reason: String },
    /// The model is sound, but holds operators or attributes that have no translation.
    #[error("{} operator(s) of this model are not supported:\n{}", .0.len(), list(.0))]
    Unsupported(Vec<Refusal>),
    /// A size that is only known when the model runs and was not given.
    #[error("input `{input}` has an open axis {axis} (`{symbol}`); give its size")]
    OpenAxis { input: String, axis: usize, symbol: String },
    /// The importer produced a graph that breaks a convention: a defect of the importer.
    #[error("internal error while importing: {0}")]
    Inconsistent(#[from] crate::graph::GraphError),
}

/// One node that cannot be translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the node in the file, or of its first output.
    pub node: String,
    /// Operator as the file's format calls it.
    pub operator: String,
    /// What about it: `auto_pad = SAME_LOWER`, `input 1 is dynamic`.
    pub reason: String,
    /// The nearest thing that works, if there is one.
    pub instead: Option<String>,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "  {} ({}): {}", self.node, self.operator, self.reason)?;
        match &self.instead {
            Some(instead) => write!(f, "; instead: {instead}"),
            None => Ok(()),
        }
    }
}

pub(crate) fn list(refusals: &[Refusal]) -> String {
    refusals.iter().map(Refusal::to_string).collect::<Vec<_>>().join("\n")
}

/// A graph and what it was before: needed to compare with other runtimes tensor by tensor.
#[derive(Clone, Debug)]
pub struct Imported {
    pub graph: Graph,
    /// For each tensor of the graph that is a tensor of the file: the file's own index (TFLite) or `None`.
    pub source_index: Vec<Option<usize>>,
}

/// A small file of a test is kept in `tests/fuzz/corpus`, too; it must be the same there. With
/// `MOTE_WRITE_CORPUS` set it is written.
#[cfg(test)]
fn keep_for_fuzzing(name: &str, bytes: &[u8]) {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
    if std::env::var_os("MOTE_WRITE_CORPUS").is_some() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let kept = std::fs::read(folder.join(name)).unwrap_or_default();
    assert!(kept == bytes, "tests/fuzz/corpus/{name} is another file: set MOTE_WRITE_CORPUS to write it");
}
