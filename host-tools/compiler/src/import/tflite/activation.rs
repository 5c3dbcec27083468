//! Activations that the file fuses behind an operator.

use super::build::{Arithmetic, Builder, FileNode, Step, Target, tensor_arithmetic};
use super::refused::{Refused, refuse};
use crate::graph::{Activation, Op, UnaryFn};
use tract_tflite::tflite::ActivationFunctionType as A;

/// A fused activation, read but not yet placed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fused {
    /// A clamp, which every kernel has.
    Clamp(Activation),
    /// Becomes a node of its own.
    Tanh,
}

impl Default for Fused {
    fn default() -> Self {
        Fused::Clamp(Activation::None)
    }
}

impl Fused {
    pub fn read(function: A) -> Result<Self, Refused> {
        match function {
            A::NONE => Ok(Fused::Clamp(Activation::None)),
            A::RELU => Ok(Fused::Clamp(Activation::Relu)),
            A::RELU6 => Ok(Fused::Clamp(Activation::Relu6)),
            A::RELU_N1_TO_1 => Ok(Fused::Clamp(Activation::Clip { min: -1.0, max: 1.0 })),
            A::TANH => Ok(Fused::Tanh),
            other => refuse(format!(
                "fused activation {} is not supported",
                other.variant_name().map_or_else(|| other.0.to_string(), str::to_string)
            )),
        }
    }
}

/// Emits `step` with its activation; the result is the node's first output.
pub(super) fn emit(
    b: &mut Builder<'_>,
    node: &FileNode<'_>,
    step: Step,
    target: Target,
    fused: Fused,
) -> Result<(), Refused> {
    match fused {
        Fused::Clamp(activation) => b.emit(step.activation(activation), target)?,
        Fused::Tanh if tensor_arithmetic(&target.tensor)? == Arithmetic::Int8 => {
            return Err(Refused::new("a fused TANH has no scale of its own in int8").instead("a TANH node"));
        }
        Fused::Tanh => {
            let x = *step.inputs.first().ok_or_else(|| Refused::new("it has no operand"))?;
            let before = b.between(node, "linear", &target.tensor.shape, x);
            let linear = b.emit(step, before)?;
            b.emit(Step::new(Op::Unary(UnaryFn::Tanh), [linear]), target)?
        }
    };
    Ok(())
}
