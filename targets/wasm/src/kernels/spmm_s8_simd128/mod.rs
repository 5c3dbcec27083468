//! `spmm_s8_simd128`: `spmm_s8` for single weights, and for small ones of blocks of four input channels.
//!
//! Constants: 0 the entries as `spmm_s8` has them, of single weights an even number for each output channel; 1 how many there are (`u32`); 2 per eight output channels the start of the
//! sums and the scales (`stage`). Scratch: a strip of positions as the loop wants it, then sums or codes of eight output channels.
//!
//! Whatever the loop ([`Way`]), vectors of sums stay in registers while the weights of an output channel pass by.

mod fours;
#[cfg(feature = "pack")]
mod pack;
mod singles;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{require, s8, s8_mut};
use mote_runtime::kernels::sparse::Block as Entries;
use mote_runtime::kernels::spmm_s8::{Record, SpmmS8Args};
use mote_runtime::plan::Fault;

use self::fours::Fours;
use self::singles::Singles;
use super::gemm::filled_up;
use super::stage::{Block, Stage, eight_or_fewer, is_plain};
use super::strips::{POSITIONS, Strip, in_strips};
use crate::vector::{I8x16, I32x4, Tile};

const RECORD: Record = Record { bytes: 4, before: 0, is_word: true, further: 1 };

/// Four positions of eight output channels.
type Sums = [[i32; 4]; 8];

/// Sixteen positions of eight output channels.
type Codes = [[i8; 16]; 8];

/// Bytes of scratch for sums, or codes.
const SUMS: usize = POSITIONS / 4 * size_of::<Sums>();

/// Entries of one weight.
const SINGLES: Entries = Entries::of(1, 1);
/// Entries of the weights of four input channels.
const FOURS: Entries = Entries::of(1, 4);

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match SpmmS8Args::checked(step, RECORD) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    match args.block() {
        SINGLES => require!(are_even(step.blob(1)), Shape),
        FOURS => {}
        _ => return Err(Fault::Arguments),
    }
    let blocks = (args.out_channels as usize).div_ceil(8);
    require!(step.blob_is(2, blocks * size_of::<Block>(), 4), Shape);
    require!(step.scratch_bytes() as u64 >= strip_bytes(args.in_channels as u64) + SUMS as u64, Shape);
    Ok(())
}

/// Whether all counts of entries are even.
const fn are_even(counts: &[u8]) -> bool {
    let (mut counts, _) = counts.as_chunks::<4>();
    while let Some(([low, ..], rest)) = counts.split_first() {
        if *low % 2 == 1 {
            return false;
        }
        counts = rest;
    }
    true
}

/// Bytes of scratch for the longest strip: of fours of input channels, widened.
const fn strip_bytes(in_channels: u64) -> u64 {
    in_channels.next_multiple_of(4) * POSITIONS as u64 * 2
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = SpmmS8Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    match args.block() {
        SINGLES => rows::<Singles>(call, &args),
        FOURS if I8x16::takes_numbers() => rows::<Fours<true>>(call, &args),
        FOURS => rows::<Fours<false>>(call, &args),
        _ => Err(Mismatch),
    }
}

/// A loop over entries.
trait Way {
    /// An entry, or as many as are multiplied at once.
    type Entry: bytemuck::AnyBitPattern;

    /// What a strip consists of: sixteen bytes of some positions of an input channel, or of fewer positions of more channels.
    type Piece: bytemuck::Pod;

    /// Whether inputs are taken plus 128.
    const RAISED: bool;

    /// Puts the inputs of eight positions, number `eight` of `EIGHTS`, into their places.
    fn turn<const EIGHTS: usize>(strips: &mut [Self::Piece], eight: usize, pixels: [&[i8]; 8]);

    /// The sums of an output channel at `EIGHTS` times eight positions.
    fn sums<const EIGHTS: usize>(
        strips: &[Self::Piece],
        entries: &[Self::Entry],
        start: i32,
    ) -> Result<[[I32x4; 2]; EIGHTS], Mismatch>;
}

fn rows<W: Way>(call: Call<'_>, args: &SpmmS8Args) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let source = given.source(0)?;
    let layer = Layer {
        inputs: args.in_channels as usize,
        outputs: args.out_channels as usize,
        entry: args.block().len() + 1,
        stride: usize::from(args.stride),
        stage: Stage::new(args.zero_point, args.min, args.max),
        entries: given.blob(0),
        counts: given.constants(1)?,
        blocks: given.constants(2)?,
    };
    let (strips, sums) =
        scratch.split_at_mut_checked(strip_bytes(args.in_channels.into()) as usize).ok_or(Mismatch)?;
    let strips: &mut [W::Piece] = bytemuck::try_cast_slice_mut(strips).map_err(|_| Mismatch)?;
    let sums = sums.get_mut(..SUMS).and_then(|sums| bytemuck::try_cast_slice_mut(sums).ok());
    let sums: &mut [Sums] = sums.ok_or(Mismatch)?;
    output.for_each(|slice, row, to| {
        let (from, to) = (s8(source.only(slice, row)?), s8_mut(to));
        let columns = to.len().checked_div(layer.outputs).ok_or(Mismatch)?;
        in_strips(columns, |strip, eights| match eights {
            1 | 2 => layer.strip::<W, 2>(strips, sums, from, to, strip),
            _ => layer.strip::<W, 4>(strips, sums, from, to, strip),
        })
    })
}

/// Everything of a layer but its rows.
struct Layer<'a> {
    inputs: usize,
    outputs: usize,
    /// Bytes of an entry.
    entry: usize,
    /// Along the row.
    stride: usize,
    stage: Stage,
    entries: &'a [u8],
    counts: &'a [u32],
    blocks: &'a [Block],
}

impl Layer<'_> {
    /// Computes some columns, at most `EIGHTS` times eight.
    fn strip<W: Way, const EIGHTS: usize>(
        &self,
        strips: &mut [W::Piece],
        tile: &mut [Sums],
        from: &[i8],
        to: &mut [i8],
        strip: Strip,
    ) -> Result<(), Mismatch> {
        for eight in 0..EIGHTS {
            W::turn::<EIGHTS>(strips, eight, strip.pixels(eight, from, self.inputs, self.stride)?);
        }
        let to = strip.outputs(to, self.outputs)?;
        let mut entries = self.entries;
        for (b, (block, counts)) in self.blocks.iter().zip(self.counts.chunks(8)).enumerate() {
            entries = self.eight::<W, EIGHTS>(strips, entries, block, counts, tile)?;
            match is_plain(block) {
                true => self.turn(bytemuck::must_cast_slice(tile), 8 * b, to),
                false => self.store(tile, block, 8 * b, to),
            }
        }
        Ok(())
    }

    /// Puts into the tile what the first of `entries` make of eight channels at all positions, codes if these are plain, else
    /// sums; the entries behind them. A function of its own, for whose loop there are registers enough.
    #[inline(never)]
    fn eight<'e, W: Way, const EIGHTS: usize>(
        &self,
        strips: &[W::Piece],
        mut entries: &'e [u8],
        block: &Block,
        counts: &[u32],
        tile: &mut [Sums],
    ) -> Result<&'e [u8], Mismatch> {
        let plain = is_plain(block);
        for (c, count) in counts.iter().enumerate() {
            let bytes = (*count as usize).checked_mul(self.entry).ok_or(Mismatch)?;
            let (own, behind) = entries.split_at_checked(bytes).ok_or(Mismatch)?;
            entries = behind;
            let own = bytemuck::try_cast_slice(own).map_err(|_| Mismatch)?;
            let four = block.get(c / 4).ok_or(Mismatch)?;
            let start = if W::RAISED { &four.raised } else { &four.start };
            let sums = W::sums::<EIGHTS>(strips, own, *start.get(c % 4).ok_or(Mismatch)?)?;
            if plain {
                let scale = four.scale.get(c % 4).ok_or(Mismatch)?;
                let codes: &mut [Codes] = bytemuck::must_cast_slice_mut(tile);
                for (sums, codes) in sums.as_chunks::<2>().0.iter().zip(codes) {
                    self.stage.channel(*sums, scale).store(codes.get_mut(c).ok_or(Mismatch)?);
                }
            } else {
                for (sum, to) in sums.as_flattened().iter().zip(tile.iter_mut()) {
                    sum.store(to.get_mut(c).ok_or(Mismatch)?);
                }
            }
        }
        Ok(entries)
    }

    /// Stores codes of eight channels from `first` on, at all positions. A function of its own, which all strips share.
    #[inline(never)]
    fn turn(&self, tile: &[Codes], first: usize, to: &mut [i8]) {
        for (codes, to) in tile.iter().zip(to.chunks_mut((16 * self.outputs).max(1))) {
            let pairs = I8x16::turned(codes.each_ref().map(I8x16::load));
            if let Some(to) = Tile::<i8, 16>::new(to, self.outputs, first) {
                for (pair, [even, odd]) in pairs.into_iter().zip(to.rows().as_chunks_mut::<2>().0) {
                    pair.store_half::<0>(even);
                    pair.store_half::<1>(odd);
                }
                continue;
            }
            let mut positions = to.chunks_exact_mut(self.outputs.max(1)).filter_map(|to| to.get_mut(first..));
            for pair in pairs {
                let Some(to) = positions.next() else { return };
                eight_or_fewer(to, |to| pair.store_half::<0>(to));
                let Some(to) = positions.next() else { return };
                eight_or_fewer(to, |to| pair.store_half::<1>(to));
            }
        }
    }

    /// The codes of eight channels from `first` on, at all positions, of sums. A function of its own, which all strips share.
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

/// Calls `put(strips, codes)` for each `N` codes of eight positions, which have as many, and the `size` strips of theirs, or
/// those that there are; behind the last code are zeros.
#[inline(always)]
fn in_chunks<S, const N: usize>(
    strips: &mut [S],
    size: usize,
    pixels: [&[i8]; 8],
    put: impl Fn(&mut [S], [&[i8; N]; 8]),
) {
    let [a, b, c, d, e, f, g, h] = pixels.map(<[i8]>::as_chunks::<N>);
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
