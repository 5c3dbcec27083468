//! Float pools for the compiler.

use super::PoolF32Args;
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// Mean over windows. Operand 0: the input, with a window of kernel slices times kernel rows.
#[derive(Clone, Copy, Debug)]
pub struct AveragePoolF32 {
    pub channels: usize,
    pub kernel_width: usize,
    /// Along the row.
    pub stride: usize,
    pub dilation: usize,
    pub pad_left: isize,
    /// Padding counts in the divisor (as zeros).
    pub include_padding: bool,
    /// Clamp of the result; infinite if there is none.
    pub min: f32,
    pub max: f32,
}

/// Maximum over windows. Operand 0: the input, with a window of kernel slices times kernel rows.
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolF32 {
    pub channels: usize,
    pub kernel_width: usize,
    /// Along the row.
    pub stride: usize,
    pub dilation: usize,
    pub pad_left: isize,
    /// Clamp of the result; infinite if there is none.
    pub min: f32,
    pub max: f32,
}

impl AveragePoolF32 {
    pub fn pack(&self) -> Packed {
        let args = PoolF32Args {
            channels: self.channels as u32,
            kernel_width: self.kernel_width as u16,
            stride: self.stride as u16,
            dilation: self.dilation as u16,
            pad_left: self.pad_left as i16,
            include_padding: self.include_padding.into(),
            min: self.min,
            max: self.max,
        };
        Packed::new(id::AVERAGE_POOL_F32, args.to_bytes())
    }
}

impl MaxPoolF32 {
    pub fn pack(&self) -> Packed {
        let args = PoolF32Args {
            channels: self.channels as u32,
            kernel_width: self.kernel_width as u16,
            stride: self.stride as u16,
            dilation: self.dilation as u16,
            pad_left: self.pad_left as i16,
            include_padding: 0,
            min: self.min,
            max: self.max,
        };
        Packed::new(id::MAX_POOL_F32, args.to_bytes())
    }
}
