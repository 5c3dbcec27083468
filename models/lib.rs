//! Builders of the model families: a name, an input size and a number of classes to the compiler's [`Graph`].
//!
//! One folder per family, beside its trained networks: [`efficientformer`], [`tinynet`], [`mobilenet`]; [`common`] holds
//! what they share. The networks are those of timm (PyTorch Image Models), tensor for tensor: parameters have timm's
//! names and shapes, so its `.safetensors` files load as they are and give timm's logits. Dropout and stochastic depth
//! are absent, as in any network that only answers. Called by the command-line tool and by tests.

#![forbid(unsafe_code)]

mod arch;
pub mod common;
pub mod efficientformer;
pub mod mobilenet;
pub mod tinynet;

pub use arch::{Arch, UnknownArch, names};
pub use common::macs::macs;
pub use common::weights::{Checkpoint, Fault, Weights, WeightsError};
pub use common::{Parameter, Role};

use common::builder::Builder;
use mote_compiler::graph::{Graph, TensorId};

/// What is built.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    pub arch: Arch,
    /// Rows and columns of the picture.
    pub size: [usize; 2],
    pub classes: usize,
}

impl Spec {
    /// The size that the network was published with, and ImageNet's 1000 classes.
    pub fn published(arch: Arch) -> Self {
        let side = arch.side();
        Self { arch, size: [side, side], classes: 1000 }
    }
}

/// A network with the parameters that it was built from.
#[derive(Clone, Debug)]
pub struct Model {
    /// Input `input` `[1, rows, columns, 3]`, output `logits` `[1, classes]`. As defined, before any pass: norms stand
    /// behind their convolutions, each head for itself.
    pub graph: Graph,
    /// In the order in which the network reads them; with what timm stores but no optimizer changes.
    pub parameters: Vec<Parameter>,
}

impl Model {
    /// Numbers that training changes, as published counts have them: without running means and variances.
    pub fn parameter_count(&self) -> u64 {
        let trained = self.parameters.iter().filter(|parameter| parameter.role.is_trained());
        trained.map(|parameter| parameter.len() as u64).sum()
    }
}

/// Why a network could not be built.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum BuildError {
    #[error(transparent)]
    Weights(#[from] WeightsError),
    #[error("{arch} has no form for pictures of {} x {}: {reason}", .size[0], .size[1])]
    Size { arch: String, size: [usize; 2], reason: String },
    #[error("a classifier needs at least one class")]
    Classes,
}

/// Largest side of a picture: far above any use, low enough that no size of a tensor overflows.
pub const MOST_ROWS: usize = 4096;

/// Builds a network. With [`Weights::Shapes`] its constants have no data: enough to count.
pub fn build(spec: &Spec, weights: Weights<'_>) -> Result<Model, BuildError> {
    let Spec { arch, size, classes } = spec;
    let refused = |reason: String| BuildError::Size { arch: arch.to_string(), size: *size, reason };
    if *classes == 0 {
        return Err(BuildError::Classes);
    }
    if size.iter().any(|side| !(1..=MOST_ROWS).contains(side)) {
        return Err(refused(format!("sides are from 1 to {MOST_ROWS}")));
    }
    let mut builder = Builder::new(arch.to_string(), weights);
    let input = builder.input("input", vec![1, size[0], size[1], 3]);
    let logits: TensorId = match arch {
        Arch::EfficientFormer(variant) => {
            efficientformer::v1::network(&mut builder, variant, input, *classes)
        }
        Arch::EfficientFormerV2(variant) => {
            efficientformer::v2::fits(*size).map_err(refused)?;
            efficientformer::v2::network(&mut builder, variant, input, *classes)
        }
        Arch::TinyNet(tinynet) => tinynet::network(&mut builder, tinynet, input, *classes),
        Arch::MobileNet(mobilenet) => mobilenet::network(&mut builder, mobilenet, input, *classes),
    };
    Ok(builder.finish(logits)?)
}
