//! `matmul_f32`.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::MatMulF32;

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::lanes::{LANES, Lanes, dot};
use crate::kernels::numbers::{numbers, numbers_mut};
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// Arguments of `matmul_f32`.
    pub struct MatMulF32Args {
        pub m: u32,
        pub k: u32,
        pub n: u32,
        pub transpose_a: u8,
        pub transpose_b: u8,
        pub reserved: u16,
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = MatMulF32Args::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == MatMulF32Args::SIZE && step.inputs() == 2 && !step.any_in_place();
    if !fits || args.m == 0 || args.k == 0 || args.n == 0 || args.transpose_a > 1 || args.transpose_b > 1 {
        return Err(Fault::Arguments);
    }
    if !step.is(0, DType::F32) || !step.is(1, DType::F32) || !step.is(2, DType::F32) {
        return Err(Fault::Shape);
    }
    let (m, k, n) = (args.m as u64, args.k as u64, args.n as u64);
    let lengths =
        step.row_len(0) as u64 == m * k && step.row_len(1) as u64 == k * n && step.row_len(2) as u64 == m * n;
    if !lengths || !step.elementwise(0) || !step.elementwise(1) {
        return Err(Fault::Shape);
    }
    Ok(())
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = MatMulF32Args::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (a, b, mut output) = (call.given.source(0)?, call.given.source(1)?, call.output);
    let (m, k, n) = (args.m as usize, args.k as usize, args.n as usize);
    let a_strides = if args.transpose_a != 0 { (1, m) } else { (k, 1) };
    output.for_each(|slice, row, dst| {
        let (a, b) = (numbers(a.only(slice, row)?)?, numbers(b.only(slice, row)?)?);
        let product = Product { a, a_strides, b, k, n };
        let dst: &mut [f32] = numbers_mut(dst)?;
        match (args.transpose_a, args.transpose_b) {
            (_, 0) => product.by_columns(dst),
            (0, _) => product.by_dots(dst),
            _ => product.plain(dst),
        }
    })
}

/// One product of two matrices.
struct Product<'a> {
    a: &'a [f32],
    /// Steps of `A` along `m` and `k`.
    a_strides: (usize, usize),
    b: &'a [f32],
    k: usize,
    n: usize,
}

impl Product<'_> {
    /// `B` as `[k, n]`: sums of eight columns of `C` stay in registers.
    fn by_columns(&self, dst: &mut [f32]) -> Result<(), Mismatch> {
        let mut rows = dst.chunks_mut((self.n * 4).max(1));
        let mut i = 0;
        for rows in rows.by_ref() {
            let height = rows.len().checked_div(self.n).ok_or(Mismatch)?;
            let mut j = 0;
            while j < self.n {
                // The last columns are computed together with some before them.
                let at = if j + LANES <= self.n { j } else { self.n.saturating_sub(LANES) };
                match (height, self.n >= LANES) {
                    (4, true) => self.tile::<4>(i, at, rows)?,
                    (_, true) => (0..height).try_for_each(|r| {
                        let row = rows.get_mut(r * self.n..(r + 1) * self.n).ok_or(Mismatch)?;
                        self.tile::<1>(i + r, at, row)
                    })?,
                    _ => {
                        for (r, row) in rows.chunks_exact_mut(self.n.max(1)).enumerate() {
                            row.iter_mut().enumerate().for_each(|(j, to)| *to = self.single(i + r, j));
                        }
                    }
                }
                j += LANES;
            }
            i += height;
        }
        Ok(())
    }

    /// `M` rows from `i` on, [`LANES`] columns from `j` on; `dst` begins with row `i`.
    #[inline(always)]
    fn tile<const M: usize>(&self, i: usize, j: usize, dst: &mut [f32]) -> Result<(), Mismatch> {
        let mut sums = [Lanes::of(&[0.0; LANES]); M];
        let (down, along) = self.a_strides;
        let mut b = self.b.get(j..).ok_or(Mismatch)?;
        let mut at = i * down;
        for _ in 0..self.k {
            let columns = Lanes::of(b.first_chunk().ok_or(Mismatch)?);
            for (r, sums) in sums.iter_mut().enumerate() {
                sums.multiply_add(*self.a.get(at + r * down).ok_or(Mismatch)?, &columns);
            }
            b = b.get(self.n..).unwrap_or(&[]);
            at += along;
        }
        for (r, sums) in sums.iter().enumerate() {
            let dst = dst.get_mut(r * self.n + j..).and_then(|dst| dst.first_chunk_mut()).ok_or(Mismatch)?;
            *dst = sums.numbers();
        }
        Ok(())
    }

    /// One number of a matrix that is narrower.
    fn single(&self, i: usize, j: usize) -> f32 {
        let (down, along) = self.a_strides;
        let a = self.a.get(i * down..).unwrap_or_default().iter().step_by(along.max(1));
        let b = self.b.get(j..).unwrap_or_default().iter().step_by(self.n.max(1));
        a.zip(b).take(self.k).map(|(x, y)| x * y).sum()
    }

    /// `A` as `[m, k]` and `B` as `[n, k]`: each number of `C` is a product of two rows.
    fn by_dots(&self, dst: &mut [f32]) -> Result<(), Mismatch> {
        let k = self.k.max(1);
        for (dst, a) in dst.chunks_exact_mut(self.n.max(1)).zip(self.a.chunks_exact(k)) {
            dst.iter_mut().zip(self.b.chunks_exact(k)).for_each(|(to, b)| *to = dot(a, b));
        }
        Ok(())
    }

    /// Both transposed: rare.
    fn plain(&self, dst: &mut [f32]) -> Result<(), Mismatch> {
        let (down, along) = self.a_strides;
        for (i, dst) in dst.chunks_exact_mut(self.n.max(1)).enumerate() {
            for (to, b) in dst.iter_mut().zip(self.b.chunks_exact(self.k.max(1))) {
                let a = self.a.iter().skip(i * down).step_by(along.max(1));
                *to = a.zip(b).map(|(x, y)| x * y).sum();
            }
        }
        Ok(())
    }
}
