//! `spmm_s8_simd128`: `spmm_s8` for single weights and for those of pairs of input channels.
//!
//! Constants: 0 the entries as `spmm_s8` has them, single ones an even number for each output channel; 1 how many there are
//! (`u32`); 2 per eight output channels the start of the sums and the scales (`stage`). Scratch: a strip of 32 positions,
//! widened, `[input channel][positions]` or `[pair of channels][positions][2]`, then sums of eight output channels.
//!
//! `i32x4.dot_i16x8_s` multiplies pairs. Where weights come in pairs, so do the inputs of a position; single weights are taken
//! two at a time, and their inputs zipped as they are loaded. Both give eight vectors of sums that stay in registers.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{require, s8, s8_mut};
use mote_runtime::kernels::sparse::Block as Entries;
use mote_runtime::kernels::spmm_s8::{Record, SpmmS8Args};
use mote_runtime::plan::Fault;

use super::gemm::filled_up;
use super::stage::{Block, Stage};
use super::strips::{POSITIONS, Strip, in_strips};
use crate::vector::{I16x8, I32x4};

const RECORD: Record = Record { bytes: 4, before: 0, is_word: true, further: 1 };

/// Four positions of eight output channels.
type Sums = [[i32; 4]; 8];

/// Bytes of scratch for sums.
const SUMS: usize = POSITIONS / 4 * size_of::<Sums>();

/// Entries of one weight.
const SINGLES: Entries = Entries::of(1, 1);
/// Entries of the weights of two input channels.
const PAIRS: Entries = Entries::of(1, 2);

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match SpmmS8Args::checked(step, RECORD) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    match args.block() {
        SINGLES => require!(is_even(step.blob(1)), Shape),
        PAIRS => {}
        _ => return Err(Fault::Arguments),
    }
    let blocks = (args.out_channels as usize).div_ceil(8);
    require!(step.blob_is(2, blocks * size_of::<Block>(), 4), Shape);
    require!(step.scratch_bytes() as u64 >= strip_bytes(&args) + SUMS as u64, Shape);
    Ok(())
}

/// Whether all counts of entries are even.
const fn is_even(counts: &[u8]) -> bool {
    let (mut counts, _) = counts.as_chunks::<4>();
    while let Some(([low, ..], rest)) = counts.split_first() {
        if *low % 2 == 1 {
            return false;
        }
        counts = rest;
    }
    true
}

const fn strip_bytes(args: &SpmmS8Args) -> u64 {
    (args.in_channels as u64).next_multiple_of(2) * POSITIONS as u64 * 2
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = SpmmS8Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    match args.block() {
        SINGLES => rows::<1>(call, &args),
        PAIRS => rows::<2>(call, &args),
        _ => Err(Mismatch),
    }
}

/// Rows for entries of `G` weights.
fn rows<const G: usize>(call: Call<'_>, args: &SpmmS8Args) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let source = given.source(0)?;
    let layer = Layer::<'_, G> {
        inputs: args.in_channels as usize,
        outputs: args.out_channels as usize,
        stride: usize::from(args.stride),
        stage: Stage::new(args.zero_point, args.min, args.max),
        entries: given.blob(0),
        counts: given.constants(1)?,
        blocks: given.constants(2)?,
    };
    let (strips, sums) = scratch.split_at_mut_checked(strip_bytes(args) as usize).ok_or(Mismatch)?;
    let strips: &mut [[i16; 8]] = bytemuck::try_cast_slice_mut(strips).map_err(|_| Mismatch)?;
    let sums = sums.get_mut(..SUMS).and_then(|sums| bytemuck::try_cast_slice_mut(sums).ok());
    let sums: &mut [Sums] = sums.ok_or(Mismatch)?;
    output.for_each(|slice, row, to| {
        let (from, to) = (s8(source.only(slice, row)?), s8_mut(to));
        let columns = to.len().checked_div(layer.outputs).ok_or(Mismatch)?;
        in_strips(columns, POSITIONS / 8, |strip, eights| match eights {
            1 => layer.strip::<1>(strips, sums, from, to, strip),
            2 => layer.strip::<2>(strips, sums, from, to, strip),
            _ => layer.strip::<4>(strips, sums, from, to, strip),
        })
    })
}

/// Everything of a layer but its rows.
struct Layer<'a, const G: usize> {
    inputs: usize,
    outputs: usize,
    /// Along the row.
    stride: usize,
    stage: Stage,
    entries: &'a [u8],
    counts: &'a [u32],
    blocks: &'a [Block],
}

impl<const G: usize> Layer<'_, G> {
    /// Computes some columns, at most `H` times eight.
    fn strip<const H: usize>(
        &self,
        strips: &mut [[i16; 8]],
        tile: &mut [Sums],
        from: &[i8],
        to: &mut [i8],
        strip: Strip,
    ) -> Result<(), Mismatch> {
        for h in 0..H {
            let pixels = strip.pixels(h, from, self.inputs, self.stride)?;
            match G {
                1 => turn(strips.as_chunks_mut::<H>().0, h, pixels),
                _ => turn_pairs(strips.as_chunks_mut::<2>().0.as_chunks_mut::<H>().0, h, pixels),
            }
        }
        let to = strip.outputs(to, self.outputs)?;
        let mut entries = self.entries;
        for (b, (block, counts)) in self.blocks.iter().zip(self.counts.chunks(8)).enumerate() {
            let starts = block.iter().flat_map(|four| four.start);
            for (c, (start, count)) in starts.zip(counts).enumerate() {
                let bytes = (*count as usize).checked_mul(1 + G).ok_or(Mismatch)?;
                let (own, behind) = entries.split_at_checked(bytes).ok_or(Mismatch)?;
                entries = behind;
                match G {
                    1 => {
                        let entries = own.as_chunks().0.as_chunks().0;
                        sums(strips.as_chunks::<H>().0, entries, start, tile, c)?;
                    }
                    _ => {
                        let strips = strips.as_chunks::<2>().0.as_chunks::<H>().0;
                        sums_of_pairs(strips, own.as_chunks().0, start, tile, c)?;
                    }
                }
            }
            self.store(tile, block, 8 * b, to);
        }
        Ok(())
    }

    /// The codes of eight channels from `first` on, at all positions. A function of its own, which all strips share.
    #[inline(never)]
    fn store(&self, tile: &[Sums], block: &Block, first: usize, to: &mut [i8]) {
        let mut positions = to.chunks_exact_mut(self.outputs.max(1));
        for sums in tile {
            let [a, b, c, d, e, f, g, h] = sums.each_ref().map(I32x4::load);
            let (low, high) = (I32x4::transposed([a, b, c, d]), I32x4::transposed([e, f, g, h]));
            for (low, high) in low.into_iter().zip(high) {
                let Some(to) = positions.next().and_then(|to| to.get_mut(first..)) else { return };
                self.stage.put([low, high], block, to);
            }
        }
    }
}

/// `strips[c][h]` becomes code `c` of eight positions.
#[inline(never)]
fn turn<const H: usize>(strips: &mut [[[i16; 8]; H]], h: usize, pixels: [&[i8]; 8]) {
    in_eights(strips, 8, pixels, |strips, eights| {
        let rows = I16x8::turned(eights.map(I16x8::widened));
        for (row, strip) in rows.into_iter().zip(strips) {
            if let Some(to) = strip.get_mut(h) {
                row.store(to);
            }
        }
    });
}

/// `strips[c][h]` becomes codes `2 c` and `2 c + 1` of eight positions.
#[inline(never)]
fn turn_pairs<const H: usize>(strips: &mut [[[[i16; 8]; 2]; H]], h: usize, pixels: [&[i8]; 8]) {
    in_eights(strips, 4, pixels, |strips, eights| {
        let [a, b, c, d, e, f, g, i] = eights.map(I16x8::widened);
        let low = I16x8::transposed([a, b, c, d]);
        let high = I16x8::transposed([e, f, g, i]);
        for ((low, high), strip) in low.into_iter().zip(high).zip(strips) {
            if let Some([to_low, to_high]) = strip.get_mut(h) {
                low.store(to_low);
                high.store(to_high);
            }
        }
    });
}

/// Calls `put(strips, codes)` for each eight codes of eight positions, which have as many, and the `size` strips of theirs,
/// or those that there are; behind the last code are zeros.
#[inline(always)]
fn in_eights<S>(strips: &mut [S], size: usize, pixels: [&[i8]; 8], put: impl Fn(&mut [S], [&[i8; 8]; 8])) {
    let [a, b, c, d, e, f, g, h] = pixels.map(<[i8]>::as_chunks::<8>);
    let mut strips = strips.chunks_mut(size);
    let first = a.0.iter().zip(b.0).zip(c.0).zip(d.0);
    let all = first.zip(e.0).zip(f.0).zip(g.0).zip(h.0).zip(&mut strips);
    for ((((((((a, b), c), d), e), f), g), h), strips) in all {
        put(strips, [a, b, c, d, e, f, g, h]);
    }
    if let (false, Some(strips)) = (a.1.is_empty(), strips.next()) {
        let last = [a.1, b.1, c.1, d.1, e.1, f.1, g.1, h.1].map(filled_up);
        put(strips, last.each_ref());
    }
}

/// The sums of an output channel, number `c` of the tile; two weights of any two input channels at a time. A function of its
/// own, for whose loop there are registers enough.
#[inline(never)]
fn sums<const H: usize>(
    strips: &[[[i16; 8]; H]],
    entries: &[[[u8; 2]; 2]],
    start: i32,
    tile: &mut [Sums],
    c: usize,
) -> Result<(), Mismatch> {
    let mut sums = [[I32x4::splat(start); 2]; H];
    let mut channel = 0;
    for entry in entries {
        let [[first, _], [second, _]] = entry;
        channel += usize::from(*first);
        let x = strips.get(channel).ok_or(Mismatch)?;
        channel += usize::from(*second);
        let y = strips.get(channel).ok_or(Mismatch)?;
        let weights = I16x8::seconds_repeated(entry);
        for ((sums, x), y) in sums.iter_mut().zip(x).zip(y) {
            add(sums, I16x8::load(x).zipped(I16x8::load(y)), weights);
        }
    }
    store(&sums, tile, c)
}

/// The same of weights that come in pairs of neighbouring input channels.
#[inline(never)]
fn sums_of_pairs<const H: usize>(
    strips: &[[[[i16; 8]; 2]; H]],
    entries: &[[u8; 3]],
    start: i32,
    tile: &mut [Sums],
    c: usize,
) -> Result<(), Mismatch> {
    let mut sums = [[I32x4::splat(start); 2]; H];
    let mut pair = 0;
    for [step, weights @ ..] in entries {
        pair += usize::from(*step);
        let weights = I16x8::codes_repeated(weights);
        for (sums, x) in sums.iter_mut().zip(strips.get(pair).ok_or(Mismatch)?) {
            add(sums, x.each_ref().map(I16x8::load), weights);
        }
    }
    store(&sums, tile, c)
}

#[inline(always)]
fn add([low, high]: &mut [I32x4; 2], [x, y]: [I16x8; 2], weights: I16x8) {
    *low = low.plus(x.dot(weights));
    *high = high.plus(y.dot(weights));
}

#[inline(always)]
fn store<const H: usize>(sums: &[[I32x4; 2]; H], tile: &mut [Sums], c: usize) -> Result<(), Mismatch> {
    for (sum, to) in sums.as_flattened().iter().zip(tile) {
        sum.store(to.get_mut(c).ok_or(Mismatch)?);
    }
    Ok(())
}
