//! `spmm_s8`: 1x1 convolution with int8 weights of which only the non-zeros are stored; any stride along the row.
//!
//! Input 0: rows of `width * in_channels`, a window of one row. Output: rows of `columns * out_channels`. Constants, with
//! entries, blocks and steps as [`sparse`](super::sparse) has them:
//! * 0: the entries one behind the other: a byte of step, then the weights;
//! * 1: per output channel, filled up to whole blocks, `start: i32, multiplier: i32, shift: i16, entries: u16`, where
//!   `start` is the bias less `input_zero_point * sum(weights)`, and `entries`, in the first channel of a block, tells
//!   how many entries the block has; 0 in the others.
//!
//! So an entry of four output channels takes five bytes, a single weight two, and there is nothing else. Scratch: a strip
//! of `strip` positions, two bytes for each input channel (filled up to whole groups).
//!
//! Equals `conv2d_s8` byte for byte: sums wrap, so their order does not matter.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::SpmmS8;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::s8::{Stage, arguments, is_stage, require, s8, s8_mut};
use crate::kernels::sparse::{Block, Counts, Geometry, LEAST, in_strips, turn};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct SpmmS8Args {
        pub in_channels: u32,
        pub out_channels: u32,
        /// Along the row.
        pub stride: u16,
        /// Positions that the scratch has room for: a multiple of [`LEAST`], at most [`MOST`](super::sparse::MOST).
        pub strip: u16,
        pub block_outputs: u8,
        pub block_inputs: u8,
        pub rounding: u8,
        pub reserved: u8,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved2: u16,
    }
}

/// Start of the accumulator, multiplier, shift and number of entries.
type Channel = [i32; 3];

/// How a kernel's record of an output channel is laid out: its bytes, of these the ones before the number of entries,
/// whether that has 32 bits, otherwise 16, and what else the kernel reads.
#[derive(Clone, Copy)]
pub struct Record {
    pub bytes: usize,
    pub before: usize,
    pub is_word: bool,
    /// Constants behind the records, which the kernel itself checks.
    pub further: usize,
}

impl Record {
    /// The records of a layer, `outputs` of them a block.
    pub const fn counts<'a>(&self, records: &'a [u8], outputs: usize) -> Counts<'a> {
        Counts { records, record: outputs * self.bytes, before: self.before, is_word: self.is_word }
    }
}

/// That of the portable kernel.
const RECORD: Record = Record { bytes: size_of::<Channel>(), before: 10, is_word: false, further: 0 };

impl SpmmS8Args {
    /// The arguments of a step, checked with all that kernels share: the stream has all entries that the channels' records
    /// tell, and none leads beyond the last input channel.
    pub const fn checked(step: &StepView<'_>, record: Record) -> Result<Self, Fault> {
        let args = arguments!(SpmmS8Args, step);
        require!(step.inputs() == 1 && step.blobs() == 2 + record.further && !step.any_in_place(), Arguments);
        require!(step.is(0, DType::I8) && step.is(1, DType::I8), Shape);
        require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
        let layer = args.geometry();
        if let Err(fault) = layer.check(step, 1 << 24, 2) {
            return Err(fault);
        }
        let bytes = layer.filled_outputs() as u64 * record.bytes as u64;
        require!(bytes <= u32::MAX as u64 && step.blob_is(1, bytes as usize, 4), Shape);
        let block = layer.block;
        let counts = record.counts(step.blob(1), block.outputs);
        match layer.check_entries(step.blob(0), block.len() + 1, counts) {
            Ok(()) => Ok(args),
            Err(fault) => Err(fault),
        }
    }

    pub const fn block(&self) -> Block {
        Block::of(self.block_outputs as usize, self.block_inputs as usize)
    }

    const fn geometry(&self) -> Geometry {
        Geometry {
            in_channels: self.in_channels as usize,
            out_channels: self.out_channels as usize,
            stride: self.stride as usize,
            strip: self.strip as usize,
            block: self.block(),
        }
    }
}

/// Positions at a time for a block of 1, 2 or 4 output channels: as many sums as there are vector registers for.
const VECTORS: [usize; 3] = [16, 16, 8];

/// The same on this machine.
const WIDE: [usize; 3] = super::sparse::wide(VECTORS, [4, 4, 2]);

/// Positions for which a plan should have room where its machine has vector registers.
#[cfg(feature = "pack")]
pub fn longest(block: Block) -> usize {
    super::sparse::longest(VECTORS, block)
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = SpmmS8Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    match (args.block_outputs, args.block_inputs) {
        (1, 1) => rows::<1, 1, 2, { WIDE[0] }>(call, &args),
        (2, 1) => rows::<2, 1, 3, { WIDE[1] }>(call, &args),
        (4, 1) => rows::<4, 1, 5, { WIDE[2] }>(call, &args),
        (1, 2) => rows::<1, 2, 3, { WIDE[0] }>(call, &args),
        (1, 4) => rows::<1, 4, 5, { WIDE[0] }>(call, &args),
        _ => Err(Mismatch),
    }
}

/// Accepts a step only if [`run`] can serve it: no entry may lead beyond the last input channel.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    match SpmmS8Args::checked(step, RECORD) {
        Ok(_) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Rows for blocks of `B` times `G` weights, entries of `E` bytes, `P` positions at a time.
fn rows<const B: usize, const G: usize, const E: usize, const P: usize>(
    call: Call<'_>,
    args: &SpmmS8Args,
) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let source = given.source(0)?;
    let (entries, _) = given.blob(0).as_chunks::<E>();
    let layer = Layer::<'_, B, G, E> {
        inputs: args.in_channels as usize,
        outputs: args.out_channels as usize,
        stride: usize::from(args.stride).max(1),
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding },
        entries,
        channels: given.constants::<Channel>(1)?,
    };
    let room: &mut [i16] = bytemuck::try_cast_slice_mut(scratch).map_err(|_| Mismatch)?;
    output.for_each(|slice, row, to| {
        let (from, to) = (s8(source.only(slice, row)?), s8_mut(to));
        let columns = to.len().checked_div(layer.outputs).ok_or(Mismatch)?;
        in_strips::<P>(columns, usize::from(args.strip), |columns, long| match long {
            true => layer.strip::<P>(room, from, to, columns),
            false => layer.strip::<LEAST>(room, from, to, columns),
        })
    })
}

/// Everything of a layer but its rows.
struct Layer<'a, const B: usize, const G: usize, const E: usize> {
    inputs: usize,
    outputs: usize,
    stride: usize,
    stage: Stage,
    entries: &'a [[u8; E]],
    channels: &'a [Channel],
}

impl<const B: usize, const G: usize, const E: usize> Layer<'_, B, G, E> {
    /// Some output columns, at most `P`.
    fn strip<const P: usize>(
        &self,
        room: &mut [i16],
        from: &[i8],
        to: &mut [i8],
        columns: core::ops::Range<usize>,
    ) -> Result<(), Mismatch> {
        let (strips, _) = room.as_chunks_mut::<P>();
        let strips = strips.get_mut(..self.inputs.next_multiple_of(G)).ok_or(Mismatch)?;
        let pixels = (columns.start * self.stride..columns.end * self.stride).step_by(self.stride);
        turn(strips, from, self.inputs, pixels, i16::from)?;
        let to = to.get_mut(columns.start * self.outputs..columns.end * self.outputs).ok_or(Mismatch)?;
        let (blocks, _) = self.channels.as_chunks::<B>();
        let mut entries = self.entries;
        for (number, channels) in blocks.iter().enumerate() {
            let [[_, _, told], ..] = channels.as_slice() else { return Err(Mismatch) };
            let (own, behind) = entries.split_at_checked((told >> 16) as u16 as usize).ok_or(Mismatch)?;
            entries = behind;
            let sums = sums::<B, G, E, P>(strips, own, channels.map(|[start, ..]| start))?;
            for (p, pixel) in to.chunks_exact_mut(self.outputs.max(1)).enumerate() {
                let lanes = pixel.get_mut(number * B..).ok_or(Mismatch)?;
                for ((to, sums), &[_, multiplier, shift]) in lanes.iter_mut().zip(&sums).zip(channels) {
                    let sum = *sums.get(p).ok_or(Mismatch)?;
                    *to = self.stage.code(sum, multiplier, i32::from(shift as i16));
                }
            }
        }
        Ok(())
    }
}

/// The sums of a block of output channels at the positions of a strip.
#[cfg_attr(target_arch = "arm", inline(never))]
#[cfg_attr(not(target_arch = "arm"), inline(always))]
fn sums<const B: usize, const G: usize, const E: usize, const P: usize>(
    strips: &[[i16; P]],
    entries: &[[u8; E]],
    start: [i32; B],
) -> Result<[[i32; P]; B], Mismatch> {
    let (groups, _) = strips.as_chunks::<G>();
    let mut sums = start.map(|start| [start; P]);
    let mut group = 0;
    for entry in entries {
        let [step, weights @ ..] = entry.as_slice() else { return Err(Mismatch) };
        group += usize::from(*step);
        let inputs = groups.get(group).ok_or(Mismatch)?;
        for (sums, weights) in sums.iter_mut().zip(weights.as_chunks::<G>().0) {
            for (input, weight) in inputs.iter().zip(weights) {
                let weight = i32::from(*weight as i8);
                for (sum, x) in sums.iter_mut().zip(input) {
                    *sum = sum.wrapping_add(i32::from(*x) * weight);
                }
            }
        }
    }
    Ok(sums)
}
