//! `max_pool_s8_mve` and `average_pool_s8_mve`: `max_pool_s8` and `average_pool_s8` of up to 64 taps; the lanes are
//! channels.
//!
//! Operands and arguments as of the portable kernels. With `n = 2 * |sum| + 2 * (count / 2)`, below 2^15, and
//! `d = 2 * count`, the rounded average's magnitude is `floor(n / d)`, which `n * ceil(2^(16 + k) / d) / 2^(16 + k)`
//! gives exactly for `2^k < d <= 2^(k + 1)`: one `VMULH` of 16 bits and a shift.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::{pack_average, pack_max};

use mote_runtime::engine::{Call, Mismatch};

pub use super::pool_s8_dsp::check;
use super::pool_s8_dsp::pool;

#[cfg(mote_mve)]
mod arm;
#[cfg(mote_mve)]
use arm as loops;
#[cfg(not(mote_mve))]
use plain as loops;

/// `max_pool_s8_mve`.
pub fn max(call: Call<'_>) -> Result<(), Mismatch> {
    pool(call, |_| i8::MIN, |taps, _, to| loops::max(taps, to))
}

/// `average_pool_s8_mve`.
pub fn average(call: Call<'_>) -> Result<(), Mismatch> {
    pool(call, |args| args.padding_code, loops::average)
}

/// Factor and shift of a division by twice `count`, which is at least 1.
#[cfg_attr(not(any(mote_mve, test)), allow(dead_code))]
#[inline(always)]
fn reciprocal(count: u16) -> (u16, u32) {
    let divisor = 2 * u32::from(count);
    let k = (divisor - 1).max(1).ilog2();
    ((1u32 << (16 + k)).div_ceil(divisor) as u16, k)
}

#[cfg(not(mote_mve))]
mod plain {
    use crate::kernels::pool_s8_dsp::{Average, plain, rounded};
    use crate::kernels::taps::Taps;

    pub fn max(taps: &Taps<'_>, to: &mut [i8]) {
        plain(taps, to, i32::from(i8::MIN), |most, code| most.max(code), |most| most as i8);
    }

    pub fn average(taps: &Taps<'_>, average: Average, to: &mut [i8]) {
        let finish = |sum| rounded(sum, average.count.into());
        plain(taps, to, average.start.into(), |sum, code| sum.wrapping_add(code), finish);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn division_is_exact() {
        for count in 1..=64u16 {
            let (factor, k) = reciprocal(count);
            for sum in 0..=128 * u32::from(count) {
                let n = 2 * sum + 2 * u32::from(count / 2);
                assert_eq!(
                    (n * u32::from(factor)) >> (16 + k),
                    n / (2 * u32::from(count)),
                    "{sum} / {count}"
                );
            }
        }
    }
}
