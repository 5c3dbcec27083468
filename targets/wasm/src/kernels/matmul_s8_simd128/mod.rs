//! `matmul_s8_simd128`: `matmul_s8` with either matrix transposed or not.
//!
//! No constants. Scratch: a row of the left matrix, then the right one in blocks of eight columns, `[pairs of rows][8 columns]
//! [2 rows]`, both widened and less their zero points; in the left one zeros up to a multiple of eight. So the right matrix is
//! put into order once for all rows, and `i32x4.dot_i16x8_s` multiplies a pair, repeated, with four columns.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch, Rows};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::matmul_s8::{self, MatmulArgs};
use mote_runtime::kernels::requantize::DOUBLE;
use mote_runtime::kernels::s8::{require, s8, s8_mut};
use mote_runtime::plan::Fault;

use super::gemm::filled_up;
use super::stage::{Factor, Near, SINGLE, Stage, eight_or_fewer};
use crate::vector::{F32x4, I16x8, I32x4};

/// Two rows of eight columns of the right matrix.
type Pair = [[i16; 8]; 2];

/// `form` where products in floats are right (`stage`).
const PLAIN: u8 = 1;

/// Pairs of rows of the right matrix, filled up to what is taken at a time.
const fn pairs(depth: usize) -> usize {
    depth.div_ceil(8) * 4
}

/// Bytes of scratch.
const fn scratch(depth: usize, columns: usize) -> usize {
    pairs(depth) * (4 + columns.div_ceil(8) * size_of::<Pair>())
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if let Err(fault) = matmul_s8::check(step) {
        return Err(fault);
    }
    let Some(args) = MatmulArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let bits = bits(&args);
    require!(args.multiplier == 0 || (bits >= 0 && bits <= 31), Arguments);
    // Sums of so many products of differences of codes fit.
    require!(args.depth <= 1 << 14, Shape);
    // All rows of a slice share the right matrix.
    require!(matches!(step.operand(1), Ok(operand) if operand.inner_stride == 0), Shape);
    require!(step.scratch_bytes() >= scratch(args.depth as usize, step.row_len(2)), Shape);
    Ok(())
}

/// The shift as [`Factor`] has it.
const fn bits(args: &MatmulArgs) -> i32 {
    let shift = if args.shift < -64 { -64 } else { args.shift };
    if args.rounding == SINGLE { -1 - shift } else { -shift }
}

/// Whether the largest sum's result is one that [`Near`] can round.
fn fits(args: &MatmulArgs, scale: f32) -> bool {
    (args.depth as f32) * 65536.0 * scale < (1 << 21) as f32
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    match MatmulArgs::read(call.given.args(), 0).ok_or(Mismatch)? {
        args if args.rounding == SINGLE => multiply::<SINGLE>(call, &args),
        args => multiply::<DOUBLE>(call, &args),
    }
}

fn multiply<const ROUNDING: u8>(call: Call<'_>, args: &MatmulArgs) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch } = call;
    let (a, b, depth) = (given.source(0)?, given.source(1)?, args.depth as usize);
    let (left, right) = scratch.split_at_mut_checked(pairs(depth) * 4).ok_or(Mismatch)?;
    let left: &mut [i16] = bytemuck::try_cast_slice_mut(left).map_err(|_| Mismatch)?;
    let columns = output.row_bytes();
    let right = right.get_mut(..pairs(depth) * columns.div_ceil(8) * size_of::<Pair>());
    let right: &mut [Pair] =
        right.and_then(|right| bytemuck::try_cast_slice_mut(right).ok()).ok_or(Mismatch)?;
    let stage = Stage::new(args.zero_point, args.min, args.max);
    let shift = if args.multiplier == 0 { 0 } else { bits(args) as u32 };
    let factor = Factor { multiplier: args.multiplier, shift };
    let zero = I16x8::splat(args.zero_b as i16);
    let (scale, sure) = factor.real::<ROUNDING>();
    let sure = if fits(args, scale) { sure } else { -1.0 };
    let (scale, sure) = (F32x4::splat(scale), F32x4::splat(sure));
    let is_plain = ROUNDING == SINGLE && args.form == PLAIN;
    let codes = |sums: [I32x4; 2], to: &mut [i8; 8]| {
        if is_plain {
            return stage.plain(sums, [scale; 2], to);
        }
        let near = sums.map(|sum| Near { real: sum.real().times(scale), sure });
        stage.store_near(near, || sums.map(|sum| factor.of::<ROUNDING>(sum)), to);
    };
    for slice in output.slices() {
        let matrix = Right { rows: b.window(slice, 0), depth, columns, zero };
        match args.transpose_b {
            0 => matrix.beside(right)?,
            _ => matrix.turned(right)?,
        }
        for row in 0..output.rows() {
            let column = (args.transpose_a != 0).then_some(row);
            take(a.window(slice, row), column, args.zero_a as i16, depth, left)?;
            let pairs_of_left = left.as_chunks::<2>().0;
            let blocks = right.chunks_exact(pairs(depth).max(1));
            for (block, to) in blocks.zip(s8_mut(output.row(slice, row)?).chunks_mut(8)) {
                let sums = sums(pairs_of_left, block, depth);
                eight_or_fewer(to, |to| codes(sums, to));
            }
        }
    }
    Ok(())
}

/// Takes a row of the left matrix, or a column of all its rows.
fn take(
    rows: Rows<'_>,
    column: Option<usize>,
    zero: i16,
    depth: usize,
    left: &mut [i16],
) -> Result<(), Mismatch> {
    let (left, rest) = left.split_at_mut_checked(depth).ok_or(Mismatch)?;
    rest.fill(0);
    let Some(column) = column else {
        let row = s8(rows.get(0).ok_or(Mismatch)?).get(..depth).ok_or(Mismatch)?;
        left.iter_mut().zip(row).for_each(|(to, code)| *to = i16::from(*code).wrapping_sub(zero));
        return Ok(());
    };
    for (to, row) in left.iter_mut().zip(rows.iter()) {
        let code = row.and_then(|row| s8(row).get(column)).ok_or(Mismatch)?;
        *to = i16::from(*code).wrapping_sub(zero);
    }
    Ok(())
}

/// The sums of a row with eight columns.
#[inline(always)]
fn sums(left: &[[i16; 2]], right: &[Pair], depth: usize) -> [I32x4; 2] {
    let [mut low, mut high] = [I32x4::splat(0); 2];
    for (x, [of_low, of_high]) in left.iter().zip(right).take(depth.div_ceil(2)) {
        let x = I16x8::repeated(x);
        low = low.plus(x.dot(I16x8::load(of_low)));
        high = high.plus(x.dot(I16x8::load(of_high)));
    }
    [low, high]
}

/// The right matrix, as it is.
struct Right<'a> {
    rows: Rows<'a>,
    depth: usize,
    columns: usize,
    zero: I16x8,
}

impl Right<'_> {
    /// Eight codes less the zero point.
    #[inline(always)]
    fn widened(&self, codes: &[i8; 8]) -> I16x8 {
        I16x8::widened(codes).minus(self.zero)
    }

    /// Puts two rows beside each other, and the next two.
    fn beside(&self, to: &mut [Pair]) -> Result<(), Mismatch> {
        for k in 0..self.depth.div_ceil(2) {
            let row = |k: usize| s8(self.rows.get(k).ok_or(Mismatch)?).get(..self.columns).ok_or(Mismatch);
            // Beside an odd row the left one has a zero.
            let (above, below) = (row(2 * k)?, row((2 * k + 1).min(self.depth.saturating_sub(1)))?);
            let ((above, a_rest), (below, b_rest)) = (above.as_chunks::<8>(), below.as_chunks::<8>());
            let mut places = to.iter_mut().skip(k).step_by(pairs(self.depth).max(1));
            let put = |above: &[i8; 8], below: &[i8; 8], to: &mut Pair| {
                store(self.widened(above).zipped(self.widened(below)), to);
            };
            for ((above, below), to) in above.iter().zip(below).zip(&mut places) {
                put(above, below, to);
            }
            if let (false, Some(to)) = (a_rest.is_empty(), places.next()) {
                put(&filled_up(a_rest), &filled_up(b_rest), to);
            }
        }
        Ok(())
    }

    /// The same of a transposed matrix, whose rows are columns.
    fn turned(&self, to: &mut [Pair]) -> Result<(), Mismatch> {
        for (block, to) in to.chunks_exact_mut(pairs(self.depth).max(1)).enumerate() {
            let mut eight = [[].as_slice(); 8];
            for (n, row) in eight.iter_mut().enumerate() {
                // The last one stands in for those behind it.
                let number = (8 * block + n).min(self.columns.saturating_sub(1));
                *row = s8(self.rows.get(number).ok_or(Mismatch)?).get(..self.depth).ok_or(Mismatch)?;
            }
            for (step, to) in to.chunks_exact_mut(4).enumerate() {
                let [a, b, c, d, e, f, g, h] = eight.map(|row| {
                    let rest = row.get(8 * step..).unwrap_or_default();
                    self.widened(&rest.first_chunk().copied().unwrap_or_else(|| filled_up(rest)))
                });
                let (low, high) = (I16x8::transposed([a, b, c, d]), I16x8::transposed([e, f, g, h]));
                low.into_iter().zip(high).zip(to).for_each(|((low, high), to)| store([low, high], to));
            }
        }
        Ok(())
    }
}

#[inline(always)]
fn store([low, high]: [I16x8; 2], [to_low, to_high]: &mut Pair) {
    low.store(to_low);
    high.store(to_high);
}
