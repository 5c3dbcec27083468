//! `fully_connected_f32` and `fully_connected_f32_w16` (half-precision weights).
//!
//! The input vector is all rows of the window, one behind the other (a flattened tensor needs no copy); a window of
//! a single row may hold several vectors. Constants: weights as [`block`] stores them, bias per output.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::FullyConnectedF32;

use crate::engine::{Call, Mismatch, Rows};
use crate::kernels::StepView;
use crate::kernels::block::{self, GROUP, Group, LANES, POSITIONS};
use crate::kernels::numbers::{Weight, limit, numbers, numbers_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `fully_connected_f32` and `fully_connected_f32_w16`.
    pub struct FullyConnectedF32Args {
        pub inputs: u32,
        pub outputs: u32,
        pub min: f32,
        pub max: f32,
    }
}

/// Float weights.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    connect::<f32>(call)
}

/// Half-precision weights.
pub fn run_w16(call: Call<'_>) -> Result<(), Mismatch> {
    connect::<half::f16>(call)
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    check_size(step, 4)
}

pub const fn check_w16(step: &StepView<'_>) -> Result<(), Fault> {
    check_size(step, 2)
}

const fn check_size(step: &StepView<'_>, weight_bytes: u64) -> Result<(), Fault> {
    let Some(args) = FullyConnectedF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == FullyConnectedF32Args::SIZE && step.inputs() == 1 && !step.any_in_place();
    if !fits || args.inputs == 0 || args.outputs == 0 || args.outputs > 1 << 29 {
        return Err(Fault::Arguments);
    }
    let (inputs, outputs) = (args.inputs as u64, args.outputs as u64);
    let (given, made) = (step.row_len(0) as u64, step.row_len(1) as u64);
    let lanes = (block::blocks(args.outputs as usize) * LANES) as u64;
    let bytes = inputs.saturating_mul(lanes * weight_bytes);
    if !step.is(0, DType::F32) || !step.is(1, DType::F32) || bytes > u32::MAX as u64 {
        return Err(Fault::Shape);
    }
    let rows = step.window(0) as u64;
    let one = rows * given == inputs && made == outputs;
    let several = rows == 1 && given % inputs == 0 && made % outputs == 0 && given / inputs == made / outputs;
    if !step.within(0) || (!one && !several) {
        return Err(Fault::Shape);
    }
    let weights = step.blob_is(0, bytes as usize, weight_bytes as usize);
    if !weights || !step.blob_is(1, args.outputs as usize * 4, 4) {
        return Err(Fault::Shape);
    }
    Ok(())
}

/// What stays the same for all rows.
struct Job<'a, W> {
    inputs: usize,
    outputs: usize,
    weights: &'a [W],
    bias: &'a [f32],
    min: f32,
    max: f32,
}

fn connect<W: Weight>(call: Call<'_>) -> Result<(), Mismatch> {
    let args = FullyConnectedF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    let job = Job::<W> {
        inputs: args.inputs as usize,
        outputs: args.outputs as usize,
        weights: call.given.constants(0)?,
        bias: call.given.constants(1)?,
        min: args.min,
        max: args.max,
    };
    output.for_each(|slice, row, dst| {
        let (rows, dst) = (source.window(slice, row), numbers_mut(dst)?);
        if dst.len() == job.outputs { job.vector(rows, dst) } else { job.vectors(rows, dst) }
    })
}

impl<W: Weight> Job<'_, W> {
    fn vector(&self, rows: Rows<'_>, dst: &mut [f32]) -> Result<(), Mismatch> {
        let of_row = self.inputs.checked_div(rows.len()).ok_or(Mismatch)?;
        let groups = self.weights.chunks((self.inputs * LANES * GROUP).max(1));
        let outputs = dst.chunks_mut(LANES * GROUP).zip(self.bias.chunks(LANES * GROUP));
        for ((dst, bias), weights) in outputs.zip(groups) {
            let group = Group::new(weights, self.inputs);
            let mut sums = Group::<W>::start(bias);
            for (k, row) in rows.iter().enumerate() {
                let Some(row) = row else { continue };
                group.accumulate(&mut sums, numbers(row)?, k * of_row).ok_or(Mismatch)?;
            }
            self.store(sums.as_flattened(), dst);
        }
        Ok(())
    }

    /// Several vectors in one row: all of them pass a block of weights before the next is read.
    fn vectors(&self, rows: Rows<'_>, dst: &mut [f32]) -> Result<(), Mismatch> {
        let row: &[f32] = numbers(rows.get(0).ok_or(Mismatch)?)?;
        let blocks = self.weights.chunks_exact((self.inputs * LANES).max(1));
        for (first, (weights, bias)) in blocks.zip(self.bias.chunks(LANES)).enumerate() {
            let bias_sums = block::start(bias);
            let outputs = dst.chunks_mut((self.outputs * POSITIONS).max(1));
            for (inputs, outputs) in row.chunks((self.inputs * POSITIONS).max(1)).zip(outputs) {
                let mut sums = [bias_sums; POSITIONS];
                let mut each = inputs.chunks_exact(self.inputs.max(1));
                if let (Some(a), Some(b), Some(c), Some(d)) =
                    (each.next(), each.next(), each.next(), each.next())
                {
                    block::accumulate(&mut sums, [a, b, c, d], weights);
                } else {
                    for (sums, input) in sums.iter_mut().zip(inputs.chunks_exact(self.inputs.max(1))) {
                        block::accumulate_one(sums, input, weights);
                    }
                }
                for (sums, output) in sums.iter().zip(outputs.chunks_exact_mut(self.outputs.max(1))) {
                    let output = output.get_mut(first * LANES..).ok_or(Mismatch)?;
                    let lanes = output.len().min(LANES);
                    self.store(sums, output.get_mut(..lanes).ok_or(Mismatch)?);
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn store(&self, sums: &[f32], dst: &mut [f32]) {
        for (to, sum) in dst.iter_mut().zip(sums) {
            *to = limit(*sum, self.min, self.max);
        }
    }
}
