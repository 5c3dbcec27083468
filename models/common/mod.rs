//! What the families share: a graph under construction, parameters by timm's names, blocks of EfficientNet's kind,
//! and counting. Called by the families' builders only, but for [`weights`] and [`macs`].

pub(crate) mod builder;
pub(crate) mod efficientnet;
pub mod macs;
pub mod weights;

/// A tensor of timm's `state_dict`.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    pub name: String,
    /// As PyTorch stores it: convolutions `[C_out, C_in / groups, k_h, k_w]`.
    pub shape: Vec<usize>,
    pub role: Role,
}

impl Parameter {
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a parameter does, from which its first value follows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Role {
    /// Of a convolution; products that make one output.
    Kernel {
        fan_in: usize,
    },
    /// Of a dense layer.
    Matrix,
    Bias,
    /// Factor of a norm.
    NormScale,
    /// Summand of a norm.
    NormShift,
    RunningMean,
    RunningVariance,
    /// Factor of a branch.
    LayerScale,
    AttentionBias,
    /// What timm stores beside, and an answer does not need: integers that count batches, indices.
    Beside,
}

impl Role {
    /// Whether training changes it.
    pub fn is_trained(self) -> bool {
        !matches!(self, Role::RunningMean | Role::RunningVariance | Role::Beside)
    }
}
