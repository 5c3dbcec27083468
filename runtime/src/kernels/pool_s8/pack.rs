//! Packing of the pools.

use super::PoolArgs;
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// A pool; input and output have the same quantization.
#[derive(Clone, Debug)]
pub struct PoolS8 {
    pub channels: usize,
    pub kernel_rows: usize,
    pub kernel_width: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pad_left: isize,
    /// Average: whether padding counts, with the value 0.
    pub include_padding: bool,
    pub zero_point: i32,
    pub min: i32,
    pub max: i32,
}

impl PoolS8 {
    /// `average_pool_s8`.
    pub fn pack_average(&self) -> Packed {
        Packed::new(id::AVERAGE_POOL_S8, self.args().to_bytes())
    }

    /// `max_pool_s8`.
    pub fn pack_max(&self) -> Packed {
        Packed::new(id::MAX_POOL_S8, self.args().to_bytes())
    }

    fn args(&self) -> PoolArgs {
        PoolArgs {
            channels: self.channels as u32,
            kernel_rows: self.kernel_rows as u16,
            kernel_width: self.kernel_width as u16,
            stride: self.stride as u16,
            dilation: self.dilation as u16,
            pad_left: self.pad_left as i16,
            include_padding: self.include_padding.into(),
            padding_code: self.zero_point as i8,
            min: self.min as i8,
            max: self.max as i8,
            reserved: 0,
        }
    }
}
