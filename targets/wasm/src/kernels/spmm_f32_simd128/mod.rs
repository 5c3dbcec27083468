//! `spmm_f32_simd128`: `spmm_f32` for single weights.
//!
//! Arguments and constants are those of the portable kernel. Scratch: a strip of 32 positions, eight of them side by side
//! (`[input channel][positions]`), then sums of 16 output channels.
//!
//! Eight vectors of sums stay in registers while the weights of an output channel pass by: 32 products for one weight, its
//! step, and the test whether there is such a channel. Sums become rows by fours of positions and channels.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use core::ops::Range;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::require;
use mote_runtime::kernels::spmm_f32::{self, SpmmF32Args};
use mote_runtime::plan::Fault;

use super::strips::{POSITIONS, Strip, in_strips};
use crate::vector::{F32x4, Tile};

/// Output channels whose sums are turned into rows at a time: a line of the cache.
const CHANNELS: usize = 16;

/// Four positions of [`CHANNELS`] channels.
type Sums = [[f32; 4]; CHANNELS];

/// Bytes of scratch for sums.
const SUMS: usize = POSITIONS / 4 * size_of::<Sums>();

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = spmm_f32::check(step) {
        return Err(fault);
    }
    let Some(args) = SpmmF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    require!(args.block_outputs == 1 && args.block_inputs == 1, Arguments);
    require!(step.scratch_bytes() as u64 >= strip_bytes(&args) + SUMS as u64, Shape);
    Ok(())
}

const fn strip_bytes(args: &SpmmF32Args) -> u64 {
    args.in_channels as u64 * POSITIONS as u64 * 4
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = SpmmF32Args::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let layer = Layer {
        inputs: args.in_channels as usize,
        outputs: args.out_channels as usize,
        stride: usize::from(args.stride),
        min: F32x4::splat(args.min),
        max: F32x4::splat(args.max),
        weights: given.constants(0)?,
        steps: given.blob(1),
        bias: given.constants(2)?,
        counts: given.constants(3)?,
    };
    let (strips, sums) = scratch.split_at_mut_checked(strip_bytes(&args) as usize).ok_or(Mismatch)?;
    let strips: &mut [[f32; 4]] = bytemuck::try_cast_slice_mut(strips).map_err(|_| Mismatch)?;
    let sums = sums.get_mut(..SUMS).and_then(|sums| bytemuck::try_cast_slice_mut(sums).ok());
    let sums: &mut [[f32; 4]] = sums.ok_or(Mismatch)?;
    let (sums, _) = sums.as_chunks_mut();
    output.for_each(|slice, row, to| {
        let from = bytemuck::try_cast_slice(source.only(slice, row)?).map_err(|_| Mismatch)?;
        let to: &mut [f32] = bytemuck::try_cast_slice_mut(to).map_err(|_| Mismatch)?;
        let columns = to.len().checked_div(layer.outputs).ok_or(Mismatch)?;
        in_strips(columns, |strip, eights| match eights {
            1 => layer.strip::<1>(strips, sums, from, to, strip),
            2 => layer.strip::<2>(strips, sums, from, to, strip),
            _ => layer.strip::<4>(strips, sums, from, to, strip),
        })
    })
}

/// Eight positions of a channel.
type Eight = [[f32; 4]; 2];

/// Everything of a layer but its rows.
struct Layer<'a> {
    inputs: usize,
    outputs: usize,
    /// Along the row.
    stride: usize,
    min: F32x4,
    max: F32x4,
    weights: &'a [f32],
    steps: &'a [u8],
    bias: &'a [f32],
    counts: &'a [u16],
}

impl Layer<'_> {
    /// Computes some columns, at most `H` times eight.
    fn strip<const H: usize>(
        &self,
        strips: &mut [[f32; 4]],
        tile: &mut [Sums],
        from: &[f32],
        to: &mut [f32],
        strip: Strip,
    ) -> Result<(), Mismatch> {
        let strips = strips.as_chunks_mut::<2>().0.as_chunks_mut::<H>().0;
        let strips = strips.get_mut(..self.inputs).ok_or(Mismatch)?;
        for h in 0..H {
            turn(strips, h, strip.pixels(h, from, self.inputs, self.stride)?);
        }
        let to = strip.outputs(to, self.outputs)?;
        let mut rest = (self.weights, self.steps);
        let mut first = 0;
        for (bias, counts) in self.bias.chunks(CHANNELS).zip(self.counts.chunks(CHANNELS)) {
            rest = sums(strips, rest, bias, counts, tile)?;
            self.store(tile, first..first + bias.len(), to);
            first += CHANNELS;
        }
        Ok(())
    }

    /// The numbers of some channels at all positions. A function of its own, which all strips share.
    #[inline(never)]
    fn store(&self, tile: &[Sums], channels: Range<usize>, to: &mut [f32]) {
        for (sums, to) in tile.iter().zip(to.chunks_mut((4 * self.outputs).max(1))) {
            let fours = sums.as_chunks::<4>().0;
            let rows = |sums: &[[f32; 4]; 4]| {
                F32x4::transposed(sums.each_ref().map(F32x4::load)).map(|row| row.limited(self.min, self.max))
            };
            if let Some(to) = Tile::<f32, 4, CHANNELS>::new(to, self.outputs, channels.start) {
                let [a, b, c, d] = to.rows().map(|row| row.as_chunks_mut::<4>().0);
                for ((((sums, a), b), c), d) in fours.iter().zip(a).zip(b).zip(c).zip(d) {
                    for (row, to) in rows(sums).into_iter().zip([a, b, c, d]) {
                        row.store(to);
                    }
                }
                continue;
            }
            for (sums, channel) in fours.iter().zip(channels.clone().step_by(4)) {
                for (row, to) in rows(sums).into_iter().zip(to.chunks_exact_mut(self.outputs.max(1))) {
                    to.get_mut(channel..).into_iter().for_each(|to| store(row, to));
                }
            }
        }
    }
}

/// `strips[c][h]` becomes number `c` of eight positions.
#[inline(never)]
fn turn<const H: usize>(strips: &mut [[Eight; H]], h: usize, pixels: [&[f32]; 8]) {
    let (fours, rest) = strips.as_chunks_mut::<4>();
    let [a, b, c, d, e, f, g, i] = pixels;
    for (half, pixels) in [[a, b, c, d], [e, f, g, i]].into_iter().enumerate() {
        let [(a, ar), (b, br), (c, cr), (d, dr)] = pixels.map(<[f32]>::as_chunks::<4>);
        let to = |strip: &mut [Eight; H], row: F32x4| {
            if let Some(to) = strip.get_mut(h).and_then(|eight| eight.get_mut(half)) {
                row.store(to);
            }
        };
        for ((((a, b), c), d), strips) in a.iter().zip(b).zip(c).zip(d).zip(fours.iter_mut()) {
            let rows = F32x4::transposed([a, b, c, d].map(F32x4::load));
            rows.into_iter().zip(strips).for_each(|(row, strip)| to(strip, row));
        }
        let last = ar.iter().zip(br).zip(cr).zip(dr);
        for ((((a, b), c), d), strip) in last.zip(rest.iter_mut()) {
            to(strip, F32x4::load(&[*a, *b, *c, *d]));
        }
    }
}

/// The sums of some output channels, whose weights and steps are the first ones; those behind them. A function of its own, for
/// whose loop there are registers enough.
#[inline(never)]
fn sums<'a, const H: usize>(
    strips: &[[Eight; H]],
    (mut weights, mut steps): (&'a [f32], &'a [u8]),
    bias: &[f32],
    counts: &[u16],
    tile: &mut [Sums],
) -> Result<(&'a [f32], &'a [u8]), Mismatch> {
    for (c, (bias, count)) in bias.iter().zip(counts).enumerate() {
        let count = usize::from(*count);
        let (own, behind) = weights.split_at_checked(count).ok_or(Mismatch)?;
        let (own_steps, steps_behind) = steps.split_at_checked(count).ok_or(Mismatch)?;
        (weights, steps) = (behind, steps_behind);
        let mut sums = [[F32x4::repeated(bias); 2]; H];
        let mut channel = 0;
        for (weight, step) in own.iter().zip(own_steps) {
            channel += usize::from(*step);
            let weight = F32x4::repeated(weight);
            for ([a, b], [x, y]) in sums.iter_mut().zip(strips.get(channel).ok_or(Mismatch)?) {
                *a = a.plus_product(F32x4::load(x), weight);
                *b = b.plus_product(F32x4::load(y), weight);
            }
        }
        for (sum, to) in sums.as_flattened().iter().zip(tile.iter_mut()) {
            sum.store(to.get_mut(c).ok_or(Mismatch)?);
        }
    }
    Ok((weights, steps))
}

/// Four numbers, or as many as there is room for.
#[inline(always)]
fn store(row: F32x4, to: &mut [f32]) {
    match to.first_chunk_mut() {
        Some(to) => row.store(to),
        None => {
            let mut four = [0.0; 4];
            row.store(&mut four);
            to.iter_mut().zip(four).for_each(|(to, x)| *to = x);
        }
    }
}
