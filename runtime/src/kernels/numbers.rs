//! Bytes as numbers, and half-precision weights as real ones.

use crate::engine::Mismatch;

/// `bytes` as numbers.
#[inline]
pub fn numbers<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> Result<&[T], Mismatch> {
    bytemuck::try_cast_slice(bytes).map_err(|_| Mismatch)
}

/// `bytes` as numbers to write.
#[inline]
pub fn numbers_mut<T: bytemuck::Pod>(bytes: &mut [u8]) -> Result<&mut [T], Mismatch> {
    bytemuck::try_cast_slice_mut(bytes).map_err(|_| Mismatch)
}

/// Copies bytes of equal number.
#[inline]
pub fn copy(dst: &mut [u8], src: &[u8]) -> Result<(), Mismatch> {
    if dst.len() != src.len() {
        return Err(Mismatch);
    }
    dst.copy_from_slice(src);
    Ok(())
}

/// A weight as it is stored; read as `f32`.
pub trait Weight: bytemuck::AnyBitPattern {
    fn real(self) -> f32;
}

impl Weight for f32 {
    #[inline(always)]
    fn real(self) -> f32 {
        self
    }
}

impl Weight for half::f16 {
    /// Without branches, so that loops over weights vectorise. Infinities and NaN are not weights: they read as
    /// large numbers.
    #[inline(always)]
    fn real(self) -> f32 {
        const REBIAS: u32 = 112 << 23;
        const SMALLEST: u32 = 113 << 23;
        let bits = u32::from(self.to_bits());
        let shifted = (bits & 0x7fff) << 13;
        let normal = shifted + REBIAS;
        // Subnormal: the fraction counts in units of 2^-24.
        let subnormal = (f32::from_bits(shifted | SMALLEST) - f32::from_bits(SMALLEST)).to_bits();
        let magnitude = if shifted < 1 << 23 { subnormal } else { normal };
        f32::from_bits(magnitude | (bits & 0x8000) << 16)
    }
}

/// Limits `x`; a NaN becomes `min`.
#[inline(always)]
pub fn limit(x: f32, min: f32, max: f32) -> f32 {
    let x = if x > min { x } else { min };
    if x < max { x } else { max }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_weights_read_as_the_half_crate_reads_them() {
        for bits in 0..=u16::MAX {
            let value = half::f16::from_bits(bits);
            if value.is_finite() {
                assert_eq!(value.real().to_bits(), value.to_f32().to_bits(), "{bits:04x}");
            }
        }
    }
}
