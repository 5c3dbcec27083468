//! `spmm_f32` and `spmm_f32_w16` (half-precision weights): 1x1 convolution of which only the weights other than zero are
//! stored; any stride along the row.
//!
//! Input 0: rows of `width * in_channels`, a window of one row. Output: rows of `columns * out_channels`. Constants, with
//! entries, blocks and steps as [`sparse`](super::sparse) has them: 0 the weights of all entries, 1 their steps (bytes),
//! 2 the bias per output channel, filled up to whole blocks, 3 how many entries each block of output channels has
//! (`u16`). Scratch: a strip of `strip` positions of all input channels, filled up to whole groups.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::SpmmF32;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::{Weight, limit, numbers, numbers_mut};
use crate::kernels::s8::{arguments, require};
use crate::kernels::sparse::{Block, Counts, Geometry, LEAST, in_strips, turn};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct SpmmF32Args {
        pub in_channels: u32,
        pub out_channels: u32,
        /// Along the row.
        pub stride: u16,
        /// Positions that the scratch has room for: a multiple of [`LEAST`], at most [`MOST`](super::sparse::MOST).
        pub strip: u16,
        pub block_outputs: u8,
        pub block_inputs: u8,
        pub reserved: u16,
        pub min: f32,
        pub max: f32,
    }
}

impl SpmmF32Args {
    const fn geometry(&self) -> Geometry {
        Geometry {
            in_channels: self.in_channels as usize,
            out_channels: self.out_channels as usize,
            stride: self.stride as usize,
            strip: self.strip as usize,
            block: Block::of(self.block_outputs as usize, self.block_inputs as usize),
        }
    }
}

/// Positions at a time for a block of 1, 2 or 4 output channels: as many sums as there are vector registers for.
const VECTORS: [usize; 3] = [32, 16, 8];

/// The same on this machine.
const WIDE: [usize; 3] = super::sparse::wide(VECTORS, [4, 4, 4]);

/// Positions for which a plan should have room where its machine has vector registers.
#[cfg(feature = "pack")]
pub fn longest(block: Block) -> usize {
    super::sparse::longest(VECTORS, block)
}

/// Float weights.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    multiply::<f32>(call)
}

/// Half-precision weights.
pub fn run_w16(call: Call<'_>) -> Result<(), Mismatch> {
    multiply::<half::f16>(call)
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    check_size(step, 4)
}

pub const fn check_w16(step: &StepView<'_>) -> Result<(), Fault> {
    check_size(step, 2)
}

const fn check_size(step: &StepView<'_>, weight_bytes: usize) -> Result<(), Fault> {
    let args = arguments!(SpmmF32Args, step);
    require!(step.inputs() == 1 && step.blobs() == 4 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::F32) && step.is(1, DType::F32), Shape);
    let layer = args.geometry();
    if let Err(fault) = layer.check(step, 1 << 22, 4) {
        return Err(fault);
    }
    let block = layer.block;
    let steps = step.blob(1);
    let weights = match steps.len().checked_mul(block.len() * weight_bytes) {
        Some(bytes) => bytes,
        None => return Err(Fault::Shape),
    };
    require!(step.blob_is(0, weights, weight_bytes), Shape);
    require!(step.blob_is(2, layer.filled_outputs() * 4, 4) && step.blob_is(3, layer.blocks() * 2, 2), Shape);
    layer.check_entries(steps, 1, Counts { records: step.blob(3), record: 2, before: 0, is_word: false })
}

fn multiply<W: Weight>(call: Call<'_>) -> Result<(), Mismatch> {
    let args = SpmmF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    match (args.block_outputs, args.block_inputs) {
        (1, 1) => rows::<W, 1, 1, 1, { WIDE[0] }>(call, &args),
        (2, 1) => rows::<W, 2, 1, 2, { WIDE[1] }>(call, &args),
        (4, 1) => rows::<W, 4, 1, 4, { WIDE[2] }>(call, &args),
        (1, 2) => rows::<W, 1, 2, 2, { WIDE[0] }>(call, &args),
        (1, 4) => rows::<W, 1, 4, 4, { WIDE[0] }>(call, &args),
        _ => Err(Mismatch),
    }
}

/// Rows for blocks of `B` times `G` weights, `E` in all, `P` positions at a time.
fn rows<W: Weight, const B: usize, const G: usize, const E: usize, const P: usize>(
    call: Call<'_>,
    args: &SpmmF32Args,
) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let source = given.source(0)?;
    let layer = Layer::<'_, W, B, G, E> {
        inputs: args.in_channels as usize,
        outputs: args.out_channels as usize,
        stride: usize::from(args.stride).max(1),
        limits: (args.min, args.max),
        weights: given.constants::<W>(0)?.as_chunks::<E>().0,
        steps: given.blob(1),
        bias: given.constants(2)?,
        counts: given.constants(3)?,
    };
    let room: &mut [f32] = numbers_mut(scratch)?;
    output.for_each(|slice, row, to| {
        let (from, to) = (numbers::<f32>(source.only(slice, row)?)?, numbers_mut::<f32>(to)?);
        let columns = to.len().checked_div(layer.outputs).ok_or(Mismatch)?;
        in_strips::<P>(columns, usize::from(args.strip), |columns, long| match long {
            true => layer.strip::<P>(room, from, to, columns),
            false => layer.strip::<LEAST>(room, from, to, columns),
        })
    })
}

/// Everything of a layer but its rows.
struct Layer<'a, W, const B: usize, const G: usize, const E: usize> {
    inputs: usize,
    outputs: usize,
    stride: usize,
    limits: (f32, f32),
    weights: &'a [[W; E]],
    steps: &'a [u8],
    bias: &'a [f32],
    counts: &'a [u16],
}

impl<W: Weight, const B: usize, const G: usize, const E: usize> Layer<'_, W, B, G, E> {
    /// Some output columns, at most `P`.
    fn strip<const P: usize>(
        &self,
        room: &mut [f32],
        from: &[f32],
        to: &mut [f32],
        columns: core::ops::Range<usize>,
    ) -> Result<(), Mismatch> {
        let (strips, _) = room.as_chunks_mut::<P>();
        let strips = strips.get_mut(..self.inputs.next_multiple_of(G)).ok_or(Mismatch)?;
        let pixels = (columns.start * self.stride..columns.end * self.stride).step_by(self.stride);
        turn(strips, from, self.inputs, pixels, |x| x)?;
        let to = to.get_mut(columns.start * self.outputs..columns.end * self.outputs).ok_or(Mismatch)?;
        let (mut weights, mut steps) = (self.weights, self.steps);
        for (number, (bias, count)) in self.bias.as_chunks::<B>().0.iter().zip(self.counts).enumerate() {
            let count = usize::from(*count);
            let (own, behind) = weights.split_at_checked(count).ok_or(Mismatch)?;
            let (own_steps, steps_behind) = steps.split_at_checked(count).ok_or(Mismatch)?;
            (weights, steps) = (behind, steps_behind);
            let sums = sums::<W, B, G, E, P>(strips, own, own_steps, bias)?;
            for (p, pixel) in to.chunks_exact_mut(self.outputs.max(1)).enumerate() {
                let lanes = pixel.get_mut(number * B..).ok_or(Mismatch)?;
                for (to, sums) in lanes.iter_mut().zip(&sums) {
                    *to = limit(*sums.get(p).ok_or(Mismatch)?, self.limits.0, self.limits.1);
                }
            }
        }
        Ok(())
    }
}

/// The sums of a block of output channels at the positions of a strip.
#[inline(always)]
fn sums<W: Weight, const B: usize, const G: usize, const E: usize, const P: usize>(
    strips: &[[f32; P]],
    weights: &[[W; E]],
    steps: &[u8],
    bias: &[f32; B],
) -> Result<[[f32; P]; B], Mismatch> {
    let (groups, _) = strips.as_chunks::<G>();
    let mut sums = bias.map(|bias| [bias; P]);
    let mut group = 0;
    for (weights, step) in weights.iter().zip(steps) {
        group += usize::from(*step);
        let inputs = groups.get(group).ok_or(Mismatch)?;
        for (sums, weights) in sums.iter_mut().zip(weights.as_chunks::<G>().0) {
            for (input, weight) in inputs.iter().zip(weights) {
                let weight = weight.real();
                for (sum, x) in sums.iter_mut().zip(input) {
                    *sum += x * weight;
                }
            }
        }
    }
    Ok(sums)
}
