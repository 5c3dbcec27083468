//! Resizing of rows and columns: `resize_nearest` (any element type), `resize_bilinear_f32`, `resize_bilinear_s8`.
//!
//! Which rows an output row needs stands in tables made by `pack`; the operand's window only says which rows of a ring
//! are there, and where the output has more rows the step is `STRETCHED`. Input and output are `[batch][height][width][channels]`, with rows either as the rows of a slice or as slices of one row each.
//! Constants: for each axis (columns, then rows) the first source index (`u16`) of each output index and, bilinear,
//! the part of the next one: `f32`, or `u16` in 1/1024.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::{Coordinates, NearestRounding, ResizeBilinear, ResizeNearest};

use crate::engine::{Call, Given, Mismatch, Output, Source};
use crate::kernels::StepView;
use crate::kernels::numbers::{numbers, numbers_mut};
use crate::plan::{DType, Fault, OperandRecord};
use crate::records;

records! {
    /// Arguments of all resizing kernels.
    pub struct ResizeArgs {
        pub in_height: u16,
        pub in_width: u16,
        pub out_height: u16,
        pub out_width: u16,
        /// Bytes of a position: channels times element.
        pub pixel: u32,
    }
}

/// One in the fractions of `resize_bilinear_s8`.
pub const ONE: i32 = 1 << 10;

pub const fn check_nearest(step: &StepView<'_>) -> Result<(), Fault> {
    match check(step, 1, 0) {
        Ok(_) => Ok(()),
        Err(fault) => Err(fault),
    }
}

pub const fn check_bilinear_f32(step: &StepView<'_>) -> Result<(), Fault> {
    match check(step, 2, 4) {
        Ok(args) if args.pixel % 4 == 0 && step.is(0, DType::F32) && step.is(1, DType::F32) => Ok(()),
        Ok(_) => Err(Fault::Shape),
        Err(fault) => Err(fault),
    }
}

pub const fn check_bilinear_s8(step: &StepView<'_>) -> Result<(), Fault> {
    match check(step, 2, 2) {
        Ok(args) if step.is(0, DType::I8) && step.is(1, DType::I8) => {
            let limit = ONE as u16 + 1;
            let parts = table_fits(step, 1, args.out_width, limit);
            if parts && table_fits(step, 3, args.out_height, limit) { Ok(()) } else { Err(Fault::Range) }
        }
        Ok(_) => Err(Fault::Shape),
        Err(fault) => Err(fault),
    }
}

/// Checks what all have in common: `tables` per axis, the second of elements of `size` bytes.
const fn check(step: &StepView<'_>, tables: usize, size: usize) -> Result<ResizeArgs, Fault> {
    let Some(args) = ResizeArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == ResizeArgs::SIZE && step.inputs() == 1 && !step.any_in_place();
    let empty = args.in_height == 0 || args.in_width == 0 || args.out_height == 0 || args.out_width == 0;
    if !fits || empty || args.pixel == 0 || step.blobs() < 2 * tables {
        return Err(Fault::Arguments);
    }
    let (Ok(from), Ok(to)) = (step.operand(0), step.output()) else { return Err(Fault::Range) };
    let whole = from.row_bytes as u64 == args.pixel as u64 * args.in_width as u64
        && to.row_bytes as u64 == args.pixel as u64 * args.out_width as u64;
    let (h_in, h_out) = (args.in_height as u32, args.out_height as u32);
    let batches = if to.rows == h_out { to.slices } else { 1 };
    let rows_out = to.rows == h_out || (to.rows == 1 && to.slices == h_out);
    let rows_in = (from.rows == h_in && from.slices >= batches)
        || (from.rows == 1 && from.slices == h_in && batches == 1);
    if !whole || !rows_out || !rows_in {
        return Err(Fault::Shape);
    }
    let columns = table_fits(step, 0, args.out_width, args.in_width);
    let rows = table_fits(step, tables, args.out_height, args.in_height);
    let kept = from.slots >= from.slices || within_window(step, tables, &from, &to);
    if !columns || !rows || !kept {
        return Err(Fault::Range);
    }
    if tables == 2 {
        let columns = step.blob_is(1, args.out_width as usize * size, size);
        let rows = step.blob_is(3, args.out_height as usize * size, size);
        if !columns || !rows {
            return Err(Fault::Shape);
        }
    }
    Ok(args)
}

const fn table_fits(step: &StepView<'_>, blob: usize, count: u16, limit: u16) -> bool {
    let mut rest = step.blob(blob);
    while let Some((index, tail)) = rest.split_first_chunk::<2>() {
        if u16::from_le_bytes(*index) >= limit {
            return false;
        }
        rest = tail;
    }
    step.blob_is(blob, count as usize * 2, 2)
}

/// Whether the source rows of each output row lie in its window: of a ring, no others are there.
const fn within_window(step: &StepView<'_>, tables: usize, from: &OperandRecord, to: &OperandRecord) -> bool {
    let mut rest = step.blob(tables);
    let share = match to.slices.checked_div(from.slices) {
        Some(share) if share > 1 => share,
        _ => 1,
    };
    let mut output = 0;
    while let Some((index, tail)) = rest.split_first_chunk::<2>() {
        let first = u16::from_le_bytes(*index) as i64;
        let last = if tables == 2 && first + 1 < from.slices as i64 { first + 1 } else { first };
        let Some(block) = u32::checked_div(output, share) else { return false };
        let start = block as i64 * from.outer_stride as i64 - from.outer_pad as i64;
        if first < start || last >= start + from.outer_count as i64 || from.outer_dilation != 1 {
            return false;
        }
        rest = tail;
        output += 1;
    }
    true
}

/// Which output row this is and where its source rows are.
struct Finder<'a> {
    source: Source<'a>,
    /// Output rows are rows of a slice, not slices.
    by_rows: bool,
    /// Likewise input rows.
    from_rows: bool,
}

impl<'a> Finder<'a> {
    fn new(given: &Given<'a>, output: &Output<'_>, args: &ResizeArgs) -> Result<Self, Mismatch> {
        let source = given.source(0)?;
        let by_rows = output.rows() == usize::from(args.out_height);
        let from_rows = source.rows_per_slice() == usize::from(args.in_height);
        Ok(Self { source, by_rows, from_rows })
    }

    /// Row number in the picture of output row `row` of slice `slice`.
    fn row_number(&self, slice: usize, row: usize) -> usize {
        if self.by_rows { row } else { slice }
    }

    /// Source row `y` of the picture to which `slice` belongs.
    fn row(&self, slice: usize, y: usize) -> Result<&'a [u8], Mismatch> {
        let picture = if self.by_rows { slice } else { 0 };
        let found = if self.from_rows {
            self.source.row(picture as i64, y as i64)
        } else {
            self.source.row(y as i64, 0)
        };
        found.ok_or(Mismatch)
    }
}

pub fn run_nearest(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ResizeArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (given, mut output) = (call.given, call.output);
    let finder = Finder::new(&given, &output, &args)?;
    let columns: &[u16] = given.constants(0)?;
    let rows: &[u16] = given.constants(1)?;
    let pixel = (args.pixel as usize).max(1);
    output.for_each(|slice, row, dst| {
        let y = rows.get(finder.row_number(slice, row)).ok_or(Mismatch)?;
        let src = finder.row(slice, (*y).into())?;
        for (dst, x) in dst.chunks_exact_mut(pixel).zip(columns) {
            dst.copy_from_slice(at(src, usize::from(*x), pixel)?);
        }
        Ok(())
    })
}

pub fn run_bilinear_f32(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ResizeArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    bilinear(call, args, |row: &Pair<'_, f32>, dst: &mut [f32], part: f32, down: f32| {
        for (to, [a, b, c, d]) in dst.iter_mut().zip(row.corners()) {
            let (upper, lower) = (a + (b - a) * part, c + (d - c) * part);
            *to = upper + (lower - upper) * down;
        }
    })
}

/// As TFLite's reference: weights in 1/1024, their products summed exactly, rounded half away from zero.
pub fn run_bilinear_s8(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ResizeArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    bilinear(call, args, |row: &Pair<'_, i8>, dst: &mut [i8], part: u16, down: u16| {
        let (part, down) = (i32::from(part), i32::from(down));
        for (to, corners) in dst.iter_mut().zip(row.corners()) {
            let [a, b, c, d] = corners.map(i32::from);
            let (upper, lower) = (a * (ONE - part) + b * part, c * (ONE - part) + d * part);
            let sum = upper * (ONE - down) + lower * down;
            let nudge = if sum > 0 { 1 << 19 } else { -(1 << 19) };
            *to = ((sum + nudge) / (1 << 20)) as i8;
        }
    })
}

/// The four positions around an output position.
struct Pair<'a, T> {
    upper: (&'a [T], &'a [T]),
    lower: (&'a [T], &'a [T]),
}

impl<T: Copy> Pair<'_, T> {
    #[inline(always)]
    fn corners(&self) -> impl Iterator<Item = [T; 4]> {
        let upper = self.upper.0.iter().zip(self.upper.1);
        let lower = self.lower.0.iter().zip(self.lower.1);
        upper.zip(lower).map(|((a, b), (c, d))| [*a, *b, *c, *d])
    }
}

/// Computes each position by `f(corners, output, part of the right column, part of the lower row)`.
#[inline(always)]
fn bilinear<T: bytemuck::Pod, F: bytemuck::Pod>(
    call: Call<'_>,
    args: ResizeArgs,
    f: impl Fn(&Pair<'_, T>, &mut [T], F, F),
) -> Result<(), Mismatch> {
    let (given, mut output) = (call.given, call.output);
    let finder = Finder::new(&given, &output, &args)?;
    let (columns, parts): (&[u16], &[F]) = (given.constants(0)?, given.constants(1)?);
    let (rows, downs): (&[u16], &[F]) = (given.constants(2)?, given.constants(3)?);
    let channels = (args.pixel as usize / size_of::<T>()).max(1);
    let right = usize::from(args.in_width).saturating_sub(1);
    let bottom = usize::from(args.in_height).saturating_sub(1);
    output.for_each(|slice, row, dst| {
        let number = finder.row_number(slice, row);
        let y = usize::from(*rows.get(number).ok_or(Mismatch)?);
        let down = *downs.get(number).ok_or(Mismatch)?;
        let upper: &[T] = numbers(finder.row(slice, y)?)?;
        let lower: &[T] = numbers(finder.row(slice, (y + 1).min(bottom))?)?;
        let dst: &mut [T] = numbers_mut(dst)?;
        for ((dst, x), part) in dst.chunks_exact_mut(channels).zip(columns).zip(parts) {
            let x = usize::from(*x);
            let next = (x + 1).min(right);
            let pair = Pair {
                upper: (at(upper, x, channels)?, at(upper, next, channels)?),
                lower: (at(lower, x, channels)?, at(lower, next, channels)?),
            };
            f(&pair, dst, *part, down);
        }
        Ok(())
    })
}

#[inline(always)]
fn at<T>(row: &[T], column: usize, len: usize) -> Result<&[T], Mismatch> {
    let start = column.checked_mul(len).ok_or(Mismatch)?;
    row.get(start..).and_then(|rest| rest.get(..len)).ok_or(Mismatch)
}
