//! Means over a whole picture, as sums that grow row by row and a step that ends them.

use super::{Context, Operand};
use crate::graph::{DType, Tensor, TensorId};
use mote_runtime::kernels::binary_f32::{BinaryF32, Function};
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::running_sum::RunningSum;
use mote_runtime::plan::OperandRecord;

/// What becomes of the sums.
pub(super) enum Finish {
    /// An integer kernel of its own.
    Codes(Packed),
    /// A factor and a clamp.
    Reals { factor: f32, min: f32, max: f32 },
}

/// Sums of `channels` columns of `x` over all rows (and over positions, if a row holds several), then `finish`.
pub(super) fn running(cx: &mut Context<'_>, x: TensorId, output: TensorId, channels: usize, finish: Finish) {
    let name = format!("{} (sums)", cx.graph.tensor(output).name);
    let dtype = if cx.dtype(x) == DType::I8 { DType::I32 } else { DType::F32 };
    let sums = cx.graph.add_tensor(Tensor::activation(name, vec![1, channels], dtype));
    let sum = RunningSum { channels };
    let packed = if dtype == DType::I32 { cx.choices.packer.running_sum_s8(&sum) } else { sum.pack_f32() };
    let input = cx.spatial(x);
    let row_bytes = (channels * dtype.size()) as u32;
    let rows = Operand { tensor: sums, view: OperandRecord::rows(0, input.view.rows, row_bytes) };
    cx.push(0, packed, vec![input], rows, vec![false]).accumulates = true;
    let (sums, to) = (cx.flat(sums), cx.flat(output));
    match finish {
        Finish::Codes(packed) => cx.push(0, packed, vec![sums], to, vec![false]),
        Finish::Reals { factor, min, max } => {
            let name = format!("{} (factor)", cx.graph.tensor(output).name);
            let factor = Tensor::constant(name, vec![1], crate::graph::Data::F32(vec![factor].into()));
            let factor = cx.graph.add_tensor(factor);
            let factor = cx.flat(factor);
            let packed = BinaryF32 { function: Function::Mul, repeat_a: 1, repeat_b: 1, min, max }.pack();
            cx.push(0, packed, vec![sums, factor], to, vec![true, false])
        }
    };
}
