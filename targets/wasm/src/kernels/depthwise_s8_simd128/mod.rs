//! `depthwise_s8_simd128`: `depthwise_s8` of any kernel, with one output channel per input channel.
//!
//! Constants: 0 for each eight channels the taps in pairs, `[pairs][8 channels][2 taps]`, a zero beside an odd one; 1 per
//! block the start of the sums and the scales (`stage`). Scratch: zero points, as many as there are channels, which stand for
//! a tap on padding.
//!
//! Eight channels of two taps are widened, zipped, and multiplied with both taps' weights by two dot products.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::s8::{Window, require, s8_mut};
use mote_runtime::kernels::target_s8::DepthwiseArgs;
use mote_runtime::plan::Fault;

use super::gemm::{Pair, filled_up};
use super::stage::{Block, Stage};
use crate::vector::{I16x8, I32x4};

/// Most taps of a kernel.
const TAPS: usize = 128;

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match DepthwiseArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    let channels = args.channels as usize;
    let rows = args.kernel_rows as usize;
    require!(rows > 0 && step.window(0) == rows, Shape);
    require!(rows * args.kernel_width as usize <= TAPS && step.scratch_bytes() >= channels, Shape);
    let (blocks, pairs) = (channels.div_ceil(8), (rows * args.kernel_width as usize).div_ceil(2));
    let weights = blocks as u64 * pairs as u64 * size_of::<Pair>() as u64;
    require!(weights < 1 << 30 && step.blob_is(0, weights as usize, 1), Shape);
    require!(step.blob_is(1, blocks * size_of::<Block>(), 4), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let args = DepthwiseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let channels = args.channels as usize;
    let padding = s8_mut(scratch.get_mut(..channels).ok_or(Mismatch)?);
    padding.fill(args.input_zero_point as i8);
    let depthwise = Depthwise {
        channels,
        taps: usize::from(args.kernel_rows) * usize::from(args.kernel_width),
        columns: args.columns(),
        padding,
        weights: bytemuck::try_cast_slice(given.blob(0)).map_err(|_| Mismatch)?,
        blocks: given.constants(1)?,
        stage: Stage::new(args.zero_point, args.min, args.max),
    };
    output.for_each(|slice, row, to| {
        let window = Window::new(source.window(slice, row));
        depthwise.row(&window, source.row_bytes(), s8_mut(to))
    })
}

/// Everything of a layer but its rows.
struct Depthwise<'a> {
    channels: usize,
    taps: usize,
    columns: Columns,
    padding: &'a [i8],
    weights: &'a [Pair],
    blocks: &'a [Block],
    stage: Stage,
}

impl Depthwise<'_> {
    fn row(&self, window: &Window<'_>, row_len: usize, to: &mut [i8]) -> Result<(), Mismatch> {
        let width = row_len.checked_div(self.channels).ok_or(Mismatch)?;
        for (column, to) in to.chunks_exact_mut(self.channels.max(1)).enumerate() {
            // The commonest kernels have loops of their own, whose taps' addresses stay in registers.
            match self.taps {
                9 => self.column::<9, 5>(window, column, width, to)?,
                25 => self.column::<25, 13>(window, column, width, to)?,
                _ => self.column::<TAPS, 0>(window, column, width, to)?,
            }
        }
        Ok(())
    }

    /// `N`: room for taps. `PAIRS`: of exactly so many taps, or 0.
    #[inline(always)]
    fn column<const N: usize, const PAIRS: usize>(
        &self,
        window: &Window<'_>,
        column: usize,
        width: usize,
        to: &mut [i8],
    ) -> Result<(), Mismatch> {
        let mut taps = [self.padding; N];
        let span = self.columns.span(column, width);
        for (k, taps) in taps.chunks_mut(self.columns.kernel_width.max(1)).take(window.len()).enumerate() {
            let Some(row) = window.get(k) else { continue };
            for (tap, x) in taps.iter_mut().enumerate().take(span.to).skip(span.from) {
                let from = row.get(span.column(tap) * self.channels..).ok_or(Mismatch)?;
                *x = from.get(..self.channels).ok_or(Mismatch)?;
            }
        }
        if PAIRS > 0 && self.channels.is_multiple_of(8) {
            return self.whole_pixel::<N, PAIRS>(&taps, to);
        }
        let taps = taps.get(..self.taps).ok_or(Mismatch)?;
        self.pixel(taps, to)
    }

    /// All channels of a column, whole vectors of them, of `N` taps.
    #[inline(always)]
    fn whole_pixel<const N: usize, const PAIRS: usize>(
        &self,
        taps: &[&[i8]; N],
        to: &mut [i8],
    ) -> Result<(), Mismatch> {
        let (to, _) = to.as_chunks_mut::<8>();
        let (weights, _) = self.weights.as_chunks::<PAIRS>();
        let count = to.len();
        let mut x: [&[[i8; 8]]; N] = [&[]; N];
        for (x, tap) in x.iter_mut().zip(taps) {
            *x = tap.as_chunks().0.get(..count).ok_or(Mismatch)?;
        }
        for (i, ((to, block), weights)) in to.iter_mut().zip(self.blocks).zip(weights).enumerate() {
            let (mut low, mut high) = (block[0].start(), block[1].start());
            for (pair, [w_low, w_high]) in weights.iter().enumerate() {
                let eight = |tap: usize| x.get(tap).and_then(|x| x.get(i)).map(I16x8::widened);
                let a = eight(2 * pair).ok_or(Mismatch)?;
                let b = if 2 * pair + 1 < N { eight(2 * pair + 1).ok_or(Mismatch)? } else { I16x8::splat(0) };
                let [x_low, x_high] = a.zipped(b);
                low = low.plus(x_low.dot(I16x8::widened(w_low)));
                high = high.plus(x_high.dot(I16x8::widened(w_high)));
            }
            self.stage.codes([low, high], block, to);
        }
        Ok(())
    }

    /// All channels of a column.
    #[inline(always)]
    fn pixel(&self, taps: &[&[i8]], to: &mut [i8]) -> Result<(), Mismatch> {
        let pairs = self.taps.div_ceil(2);
        let (whole, rest) = to.as_chunks_mut::<8>();
        let mut each = self.blocks.iter().zip(self.weights.chunks_exact(pairs.max(1)));
        let mut at = 0;
        for (to, (block, weights)) in whole.iter_mut().zip(&mut each) {
            let eight = |tap: &[i8]| Some(I16x8::widened(tap.get(at..)?.first_chunk::<8>()?));
            let sums = sums(taps, weights, block, eight).ok_or(Mismatch)?;
            self.stage.codes(sums, block, to);
            at += 8;
        }
        if let (false, Some((block, weights))) = (rest.is_empty(), each.next()) {
            let eight = |tap: &[i8]| Some(I16x8::widened(&filled_up(tap.get(at..)?)));
            let sums = sums(taps, weights, block, eight).ok_or(Mismatch)?;
            self.stage.put(sums, block, rest);
        }
        Ok(())
    }
}

/// The sums of eight channels, which `eight` takes out of a tap.
#[inline(always)]
fn sums<'a>(
    taps: &[&'a [i8]],
    weights: &[Pair],
    [first, last]: &Block,
    eight: impl Fn(&'a [i8]) -> Option<I16x8>,
) -> Option<[I32x4; 2]> {
    let (mut low, mut high) = (first.start(), last.start());
    let (pairs, single) = taps.as_chunks::<2>();
    let mut add = |a: I16x8, b: I16x8, [w_low, w_high]: &Pair| {
        let [x_low, x_high] = a.zipped(b);
        low = low.plus(x_low.dot(I16x8::widened(w_low)));
        high = high.plus(x_high.dot(I16x8::widened(w_high)));
    };
    let mut weights = weights.iter();
    for ([a, b], weights) in pairs.iter().zip(&mut weights) {
        add(eight(a)?, eight(b)?, weights);
    }
    for (a, weights) in single.iter().zip(weights) {
        add(eight(a)?, I16x8::splat(0), weights);
    }
    Some([low, high])
}
