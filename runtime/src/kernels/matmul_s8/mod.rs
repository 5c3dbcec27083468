//! `matmul_s8`: product of two matrices that are both computed, one pair per output slice.
//!
//! Output: slices of `m` rows of `n`. Input 0: `m` rows of `k`, and each output row reads its own one; transposed, `k`
//! rows of `m`, and the window lists all of them. Input 1: `k` rows of `n`, transposed `n` rows of `k`; the window
//! lists all of them (row stride 0). A batch that one side shares has slice stride 0 there. No constants, no scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::MatmulS8;

use crate::engine::{Call, Mismatch, Rows};
use crate::kernels::StepView;
use crate::kernels::s8::{LANES, Stage, arguments, is_code, is_stage, require, s8, s8_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments.
    pub struct MatmulArgs {
        /// Length of the axis that is summed over.
        pub depth: u32,
        pub transpose_a: u8,
        pub transpose_b: u8,
        pub rounding: u8,
        /// What else a kernel knows of the product; 0 where it says nothing.
        pub form: u8,
        pub zero_a: i32,
        pub zero_b: i32,
        pub multiplier: i32,
        pub shift: i32,
        pub zero_point: i32,
        pub min: i8,
        pub max: i8,
        pub reserved2: u16,
    }
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let args = MatmulArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let (a, b) = (given.source(0)?, given.source(1)?);
    let stage = Stage { zero_point: args.zero_point, min: args.min, max: args.max, rounding: args.rounding };
    output.for_each(|slice, row, to| {
        let left = Left {
            rows: a.window(slice, row),
            column: (args.transpose_a != 0).then_some(row),
            zero: args.zero_a,
        };
        let right = b.window(slice, row);
        let to = s8_mut(to);
        if args.transpose_b != 0 {
            for (n, to) in to.iter_mut().enumerate() {
                let acc = left.with_row(s8(right.get(n).ok_or(Mismatch)?), args.zero_b)?;
                *to = stage.code(acc, args.multiplier, args.shift);
            }
            return Ok(());
        }
        for (block, to) in to.chunks_mut(LANES).enumerate() {
            let acc = left.with_columns(right, block * LANES, args.depth as usize, args.zero_b)?;
            for (to, acc) in to.iter_mut().zip(acc) {
                *to = stage.code(acc, args.multiplier, args.shift);
            }
        }
        Ok(())
    })
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = arguments!(MatmulArgs, step);
    require!(step.inputs() == 2 && !step.any_in_place(), Arguments);
    require!(step.is(0, DType::I8) && step.is(1, DType::I8) && step.is(2, DType::I8), Shape);
    require!(is_stage(args.zero_point, args.min, args.max, args.rounding), Arguments);
    require!(is_code(args.zero_a) && is_code(args.zero_b) && args.depth > 0, Arguments);
    require!(step.within(0) && step.within(1), Shape);
    let (a, b, depth) = (step.window(0), step.window(1), args.depth as usize);
    let Ok(output) = step.output() else { return Err(Fault::Range) };
    let (m, n) = (output.rows as usize, step.row_len(2));
    if args.transpose_a == 0 {
        require!(a == 1 && step.row_len(0) == depth, Shape);
    } else {
        require!(a == depth && step.row_len(0) == m, Shape);
    }
    if args.transpose_b == 0 {
        require!(b == depth && step.row_len(1) == n, Shape);
    } else {
        require!(b == n && step.row_len(1) == depth, Shape);
    }
    Ok(())
}

/// The left matrix's row that an output row needs: a row in memory, or a column of all rows.
struct Left<'a> {
    rows: Rows<'a>,
    column: Option<usize>,
    zero: i32,
}

impl Left<'_> {
    /// Element `k` less the zero point.
    #[inline]
    fn get(&self, k: usize) -> Option<i32> {
        let code = match self.column {
            None => s8(self.rows.get(0)?).get(k)?,
            Some(column) => s8(self.rows.get(k)?).get(column)?,
        };
        Some(i32::from(*code).wrapping_sub(self.zero))
    }

    /// Product with a row of the transposed right matrix.
    fn with_row(&self, right: &[i8], zero: i32) -> Result<i32, Mismatch> {
        let product =
            |acc: i32, x: i32, w: i8| acc.wrapping_add(x.wrapping_mul(i32::from(w).wrapping_sub(zero)));
        if self.column.is_none() {
            let left = s8(self.rows.get(0).ok_or(Mismatch)?);
            let zero_a = self.zero;
            let pairs = left.iter().zip(right);
            return Ok(pairs.fold(0, |acc, (&x, &w)| product(acc, i32::from(x).wrapping_sub(zero_a), w)));
        }
        right
            .iter()
            .enumerate()
            .try_fold(0, |acc, (k, &w)| Some(product(acc, self.get(k)?, w)))
            .ok_or(Mismatch)
    }

    /// Products with columns `from ..` of the right matrix.
    fn with_columns(
        &self,
        right: Rows<'_>,
        from: usize,
        depth: usize,
        zero: i32,
    ) -> Result<[i32; LANES], Mismatch> {
        let mut acc = [0i32; LANES];
        for k in 0..depth {
            let x = self.get(k).ok_or(Mismatch)?;
            let row = s8(right.get(k).ok_or(Mismatch)?).get(from..).ok_or(Mismatch)?;
            match row.first_chunk::<LANES>() {
                Some(row) => add_products(&mut acc, x, row, zero),
                None => add_products(&mut acc, x, row, zero),
            }
        }
        Ok(acc)
    }
}

#[inline(always)]
fn add_products(acc: &mut [i32; LANES], x: i32, row: &[i8], zero: i32) {
    for (acc, &w) in acc.iter_mut().zip(row) {
        *acc = acc.wrapping_add(x.wrapping_mul(i32::from(w).wrapping_sub(zero)));
    }
}
