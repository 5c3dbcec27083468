//! What the int8 kernels share, those of targets included: views of rows as `i8`, the way of an accumulator to an
//! output code, dot products, pieces of checks.

use crate::engine::{Call, Given, Mismatch, Rows};
use crate::kernels::requantize::{DOUBLE, requantize};

/// Channels that one pass keeps in accumulators: what fits the registers.
pub(crate) const LANES: usize = if cfg!(target_arch = "arm") { 4 } else { 16 };

/// Refuses a step with the fault unless the condition holds.
#[macro_export]
macro_rules! require {
    ($condition:expr, $fault:ident) => {
        if !$condition {
            return Err($crate::plan::Fault::$fault);
        }
    };
}

/// The argument record of a step, which must have exactly its size.
#[macro_export]
macro_rules! arguments {
    ($record:ident, $step:expr) => {
        match $record::read($step.args(), 0) {
            Some(args) if $step.args().len() == $record::SIZE => args,
            _ => return Err($crate::plan::Fault::Arguments),
        }
    };
}
pub use crate::{arguments, require};

#[inline(always)]
pub fn s8(bytes: &[u8]) -> &[i8] {
    bytemuck::cast_slice(bytes)
}

#[inline(always)]
pub fn s8_mut(bytes: &mut [u8]) -> &mut [i8] {
    bytemuck::cast_slice_mut(bytes)
}

/// Whether this is a code of an `i8` tensor.
pub const fn is_code(value: i32) -> bool {
    value >= -128 && value <= 127
}

/// Whether zero point and clamp of a layer make sense.
pub const fn is_clamp(zero_point: i32, min: i8, max: i8) -> bool {
    is_code(zero_point) && min <= max
}

/// Whether the arguments of a [`Stage`] make sense.
pub(crate) const fn is_stage(zero_point: i32, min: i8, max: i8, rounding: u8) -> bool {
    is_clamp(zero_point, min, max) && rounding <= DOUBLE
}

/// From accumulators to output codes.
#[derive(Clone, Copy)]
pub(crate) struct Stage {
    pub zero_point: i32,
    pub min: i8,
    pub max: i8,
    pub rounding: u8,
}

impl Stage {
    #[inline(always)]
    pub fn code(&self, acc: i32, multiplier: i32, shift: i32) -> i8 {
        self.clamp(requantize(acc, multiplier, shift, self.rounding).wrapping_add(self.zero_point))
    }

    /// Saturates; without the panic that `Ord::clamp` has for an empty range.
    #[inline(always)]
    pub fn clamp(&self, code: i32) -> i8 {
        code.max(self.min.into()).min(self.max.into()) as i8
    }
}

/// Per output channel: start of the accumulator, multiplier, shift.
pub type Channel = [i32; 3];

/// `acc + sum(x * w)`; the shorter slice ends it.
#[inline]
pub(crate) fn dot(acc: i32, x: &[i8], w: &[i8]) -> i32 {
    x.iter().zip(w).fold(acc, |acc, (&x, &w)| acc.wrapping_add(i32::from(x) * i32::from(w)))
}

/// Four dot products that share `x`, so that it is loaded once.
#[inline(always)]
pub(crate) fn dot4(acc: [i32; 4], x: &[i8], w: [&[i8]; 4]) -> [i32; 4] {
    if cfg!(target_arch = "arm") { dot4_in_registers(acc, x, w) } else { dot4_plain(acc, x, w) }
}

/// For processors with vectors: the compiler finds them in the plain loop.
#[inline(always)]
fn dot4_plain(acc: [i32; 4], x: &[i8], w: [&[i8]; 4]) -> [i32; 4] {
    let [mut a0, mut a1, mut a2, mut a3] = acc;
    let [w0, w1, w2, w3] = w;
    for ((((&x, &w0), &w1), &w2), &w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        let x = i32::from(x);
        a0 = a0.wrapping_add(x * i32::from(w0));
        a1 = a1.wrapping_add(x * i32::from(w1));
        a2 = a2.wrapping_add(x * i32::from(w2));
        a3 = a3.wrapping_add(x * i32::from(w3));
    }
    [a0, a1, a2, a3]
}

/// For processors without: unrolled by four here, since what the compiler unrolls does not stay in registers.
#[inline(always)]
fn dot4_in_registers(acc: [i32; 4], x: &[i8], w: [&[i8]; 4]) -> [i32; 4] {
    let [mut a0, mut a1, mut a2, mut a3] = acc;
    let (x, x_rest) = x.as_chunks::<4>();
    let [(w0, w0_rest), (w1, w1_rest), (w2, w2_rest), (w3, w3_rest)] = w.map(|w| w.as_chunks::<4>());
    for ((((x, w0), w1), w2), w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        a0 = dot(a0, x, w0);
        a1 = dot(a1, x, w1);
        a2 = dot(a2, x, w2);
        a3 = dot(a3, x, w3);
    }
    dot4_plain([a0, a1, a2, a3], x_rest, [w0_rest, w1_rest, w2_rest, w3_rest])
}

pub(crate) fn sum(values: &[i8]) -> i32 {
    values.iter().fold(0i32, |sum, &v| sum.wrapping_add(v.into()))
}

/// Rows of a window that are looked up in advance.
const KEPT: usize = 12;

/// The rows of a window, looked up once for all output columns.
pub struct Window<'a> {
    rows: Rows<'a>,
    len: usize,
    first: [Option<&'a [i8]>; KEPT],
}

impl<'a> Window<'a> {
    pub fn new(rows: Rows<'a>) -> Self {
        let mut window = Self::unkept(rows);
        window.keep();
        window
    }

    /// A window to be filled by [`Window::keep`] where it is, since the compiler copies one that is handed out filled.
    #[inline(always)]
    pub fn unkept(rows: Rows<'a>) -> Self {
        Self { rows, len: rows.len(), first: [None; KEPT] }
    }

    /// Looks up the rows.
    #[inline(always)]
    pub fn keep(&mut self) {
        for (k, kept) in self.first.iter_mut().enumerate().take(self.len) {
            *kept = row(&self.rows, k);
        }
    }

    #[allow(clippy::len_without_is_empty)] // a checked plan has no empty windows
    pub fn len(&self) -> usize {
        self.len
    }

    /// Row `k`; `None` for padding.
    #[inline(always)]
    pub fn get(&self, k: usize) -> Option<&'a [i8]> {
        match self.first.get(k) {
            Some(&row) => row,
            None => self.look_up(k),
        }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self, k: usize) -> Option<&'a [i8]> {
        self.rows.get(k).map(s8)
    }
}

/// Row `k` of a window. Called, so that it is there once: unrolled twelve times it is long, and it is looked up once
/// for each output row.
#[inline(never)]
fn row<'a>(rows: &Rows<'a>, k: usize) -> Option<&'a [i8]> {
    rows.get(k).map(s8)
}

/// For kernels of one input that may work in place: brings each input row to where the output goes, and calls `f`.
pub(crate) fn each_in_place(
    call: Call<'_>,
    mut f: impl FnMut(&Given<'_>, &mut [i8]) -> Result<(), Mismatch>,
) -> Result<(), Mismatch> {
    let Call { given, mut output, .. } = call;
    let input = given.input(0)?;
    output.for_each(|slice, row, to| {
        if let Some(source) = input {
            let from = source.only(slice, row)?;
            if from.len() != to.len() {
                return Err(Mismatch);
            }
            to.copy_from_slice(from);
        }
        f(&given, s8_mut(to))
    })
}

/// Multiplier and shift of each of `channels` channels.
#[cfg(feature = "pack")]
pub fn multipliers(factors: &[f64], channels: usize) -> alloc::vec::Vec<(i32, i32)> {
    let quantize = crate::kernels::requantize::quantize_multiplier;
    if factors.len() == 1 {
        return alloc::vec![quantize(factors[0]); channels];
    }
    assert_eq!(factors.len(), channels, "one factor, or one for each channel");
    factors.iter().map(|&factor| quantize(factor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_loops_agree() {
        let codes = |seed: u32, len: usize| -> [i8; 23] {
            core::array::from_fn(|i| {
                if i < len { (seed.wrapping_mul(i as u32 * 977 + 13) >> 7) as i8 } else { 0 }
            })
        };
        for len in 0..23 {
            let [x, a, b, c, d] = [3, 71, 1009, 50021, 700001].map(|seed| codes(seed, len));
            let w = [&a[..len], &b[..len], &c[..len], &d[..len]];
            let want = w.map(|w| dot(5, &x[..len], w));
            assert_eq!(dot4_plain([5; 4], &x[..len], w), want);
            assert_eq!(dot4_in_registers([5; 4], &x[..len], w), want);
        }
    }
}
