//! `spmm_s8_dsp`: `spmm_s8` for blocks of one or four output channels, whose accumulators fit 31 bits.
//!
//! Constants: 0 the entries as `spmm_s8` has them; 1 per output channel a [`Channel`]. Scratch: a strip.
//!
//! Positions lie in pairs of 16 bits, so one word of the strip serves two of them: `SMLABB` and `SMLATB`, or, where an
//! entry has four weights, two to a word, `SMLABT` and `SMLATT` besides.

#[cfg(feature = "pack")]
mod pack;
mod strip;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::s8_mut;
use mote_runtime::kernels::sparse::{Block, LEAST, entries_fit};
use mote_runtime::kernels::spmm_s8::{Record, SpmmS8Args};
use mote_runtime::plan::Fault;

use self::strip::{Layer, Multiply, Strip};
use super::stage::Stage;

/// Start of the sums, doubled; entries of a block, in its first channel; and the scale.
pub type Channel = [i32; 4];

const RECORD: Record = Record { bytes: size_of::<Channel>(), before: 4, is_word: true, further: 0 };

/// Positions of the longest strip of single weights: as many sums as there are registers for.
const LONGEST: usize = 8;

/// Positions that a plan should have room for.
#[cfg(feature = "pack")]
pub fn longest(block: Block) -> usize {
    if block == SINGLE_WEIGHTS { LONGEST } else { LEAST }
}

const SINGLE_WEIGHTS: Block = Block::of(1, 1);
const FOUR_OUTPUTS: Block = Block::of(4, 1);

/// Blocks that there are loops for. Rows hold whole ones.
const fn is_served(block: Block, outputs: usize) -> bool {
    match (block.outputs, block.inputs) {
        (1, 1) => true,
        (4, 1) => outputs.is_multiple_of(4),
        _ => false,
    }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    match SpmmS8Args::checked(step, RECORD) {
        Ok(args) if is_served(args.block(), args.out_channels as usize) => Ok(()),
        Ok(_) => Err(Fault::Arguments),
        Err(fault) => Err(fault),
    }
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    (): Multiply<ROUNDING>,
{
    let Call { given, mut output, scratch } = call;
    let args = SpmmS8Args::read(given.args(), 0).ok_or(Mismatch)?;
    let block = args.block();
    // The loops go where entries lead them.
    let (stream, counts) = (given.blob(0), RECORD.counts(given.blob(1), block.outputs));
    let inside = match block {
        SINGLE_WEIGHTS => entries_fit::<2>(stream, counts, args.in_channels as usize),
        _ => entries_fit::<5>(stream, counts, args.in_channels as usize),
    };
    inside.map_err(|_| Mismatch)?;
    let source = given.source(0)?;
    let stage = Stage { zero_point: args.zero_point, min: args.min, max: args.max };
    let layer = Layer {
        inputs: args.in_channels as usize,
        outputs: args.out_channels as usize,
        stride: usize::from(args.stride),
        zero_point: args.zero_point,
        entries: stream,
        channels: given.constants(1)?,
    };
    let words: &mut [u32] = bytemuck::try_cast_slice_mut(scratch).map_err(|_| Mismatch)?;
    let wide = usize::from(args.strip) >= LONGEST;
    output.for_each(|slice, row, to| {
        let (from, to) = (source.only(slice, row)?, s8_mut(to));
        let columns = to.len().checked_div(layer.outputs).ok_or(Mismatch)?;
        let mut first = 0;
        while first < columns {
            let left = columns - first;
            let strip = |most: usize| Strip { first, positions: left.min(most) };
            first += match block {
                FOUR_OUTPUTS => layer.compute::<1, ROUNDING>(words, from, to, strip(2)),
                SINGLE_WEIGHTS if wide && left > LEAST => {
                    layer.compute::<4, ROUNDING>(words, from, to, strip(LONGEST))
                }
                SINGLE_WEIGHTS => layer.compute::<2, ROUNDING>(words, from, to, strip(LEAST)),
                _ => None,
            }
            .ok_or(Mismatch)?;
        }
        stage.clamp(to);
        Ok(())
    })
}
