//! `matmul_s8_simd128`: `matmul_s8` with either matrix transposed or not.
//!
//! No constants. Scratch: a row of the left matrix, widened, less its zero point, zeros up to a multiple of eight.

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
use super::stage::{Factor, Near, SINGLE, Stage};
use crate::vector::{F32x4, I16x8, I32x4};

/// Columns of the right matrix whose sums are in registers.
const COLUMNS: usize = 32;

/// Bytes of scratch for a row of the left matrix.
const fn scratch(depth: usize) -> usize {
    depth.next_multiple_of(8) * 2
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
    require!(args.depth <= 1 << 14 && step.scratch_bytes() >= scratch(args.depth as usize), Shape);
    Ok(())
}

/// The shift as [`Factor`] has it.
const fn bits(args: &MatmulArgs) -> i32 {
    let shift = if args.shift < -64 { -64 } else { args.shift };
    if args.rounding == SINGLE { -1 - shift } else { -shift }
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
    let left: &mut [i16] = bytemuck::try_cast_slice_mut(scratch).map_err(|_| Mismatch)?;
    let left = left.get_mut(..depth.next_multiple_of(8)).ok_or(Mismatch)?;
    let stage = Stage::new(args.zero_point, args.min, args.max);
    let shift = if args.multiplier == 0 { 0 } else { bits(args) as u32 };
    let factor = Factor { multiplier: args.multiplier, shift };
    let zero = I16x8::splat(args.zero_b as i16);
    let (scale, sure) = factor.real::<ROUNDING>();
    // The largest sum's result must be one that `Near` can round.
    let sure = if (depth as f32) * 65536.0 * scale < (1 << 21) as f32 { sure } else { -1.0 };
    let (scale, sure) = (F32x4::splat(scale), F32x4::splat(sure));
    let codes = |sums: [I32x4; 2], to: &mut [i8]| {
        let near = sums.map(|sum| Near { real: sum.real().times(scale), sure });
        let exact = || sums.map(|sum| factor.of::<ROUNDING>(sum));
        match to.first_chunk_mut::<8>() {
            Some(to) => stage.store_near(near, exact, to),
            None => {
                let mut codes = [0; 8];
                stage.store_near(near, exact, &mut codes);
                to.iter_mut().zip(codes).for_each(|(to, code)| *to = code);
            }
        }
    };
    output.for_each(|slice, row, to| {
        let column = (args.transpose_a != 0).then_some(row);
        take(a.window(slice, row), column, args.zero_a as i16, depth, left)?;
        let (right, to) = (b.window(slice, row), s8_mut(to));
        if args.transpose_b == 0 {
            for (block, to) in to.chunks_mut(COLUMNS).enumerate() {
                let sums = columns(left, right, depth, block * COLUMNS, zero)?;
                to.chunks_mut(8).zip(sums).for_each(|(to, sums)| codes(sums, to));
            }
            return Ok(());
        }
        for (block, to) in to.chunks_mut(8).enumerate() {
            let last = to.len().saturating_sub(1);
            let row = |n: usize| right.get(8 * block + n.min(last)).map(s8).ok_or(Mismatch);
            let four = |n| Ok([row(n)?, row(n + 1)?, row(n + 2)?, row(n + 3)?]);
            let low = rows(left, four(0)?, zero);
            let high = if last < 4 { low } else { rows(left, four(4)?, zero) };
            codes([low, high], to);
        }
        Ok(())
    })
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

/// Sums of a row with [`COLUMNS`] columns of the right matrix, from `first` on; of those that aren't there any sums.
#[inline(always)]
fn columns(
    left: &[i16],
    right: Rows<'_>,
    depth: usize,
    first: usize,
    zero: I16x8,
) -> Result<[[I32x4; 2]; COLUMNS / 8], Mismatch> {
    let mut sums = [[I32x4::splat(0); 2]; COLUMNS / 8];
    let (pairs, _) = left.as_chunks::<2>();
    for (k, x) in pairs.iter().enumerate().take(depth.div_ceil(2)) {
        let above = right.get(2 * k).map(s8).ok_or(Mismatch)?;
        // Beside an odd row the left one has a zero.
        let below = if 2 * k + 1 < depth { right.get(2 * k + 1).map(s8).ok_or(Mismatch)? } else { above };
        let x = I16x8::repeated(x);
        let (above, below) = (above.get(first..).ok_or(Mismatch)?, below.get(first..).ok_or(Mismatch)?);
        if let (Some(above), Some(below)) = (above.first_chunk::<COLUMNS>(), below.first_chunk::<COLUMNS>()) {
            let eights = above.as_chunks::<8>().0.iter().zip(below.as_chunks::<8>().0);
            sums.iter_mut().zip(eights).for_each(|(sums, (above, below))| add(sums, x, above, below, zero));
            continue;
        }
        for (sums, (above, below)) in sums.iter_mut().zip(above.chunks(8).zip(below.chunks(8))) {
            add(sums, x, &filled_up(above), &filled_up(below), zero);
        }
    }
    Ok(sums)
}

/// Adds the products of a pair with eight columns of two rows.
#[inline(always)]
fn add([low, high]: &mut [I32x4; 2], x: I16x8, above: &[i8; 8], below: &[i8; 8], zero: I16x8) {
    let [of_low, of_high] = I16x8::widened(above).minus(zero).zipped(I16x8::widened(below).minus(zero));
    *low = low.plus(x.dot(of_low));
    *high = high.plus(x.dot(of_high));
}

/// Sums of a row with four rows of the transposed right matrix.
#[inline(always)]
fn rows(left: &[i16], rows: [&[i8]; 4], zero: I16x8) -> I32x4 {
    let mut sums = [I32x4::splat(0); 4];
    let (left, _) = left.as_chunks::<8>();
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = rows.map(<[i8]>::as_chunks::<8>);
    let mut add = |x: &[i16; 8], four: [&[i8; 8]; 4]| {
        let x = I16x8::load(x);
        sums.iter_mut().zip(four).for_each(|(sum, codes)| {
            *sum = sum.plus(x.dot(I16x8::widened(codes).minus(zero)));
        });
    };
    let mut left = left.iter();
    // The rows first: what ends a loop is asked for before the left row has moved on.
    for ((((a, b), c), d), x) in a.iter().zip(b).zip(c).zip(d).zip(&mut left) {
        add(x, [a, b, c, d]);
    }
    if let Some(x) = left.next() {
        // Beside codes that aren't there the left row has zeros.
        let [a, b, c, d] = [a_rest, b_rest, c_rest, d_rest].map(filled_up);
        add(x, [&a, &b, &c, &d]);
    }
    I32x4::totals(sums)
}
