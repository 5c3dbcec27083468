//! Packing of running sums and what follows them.

use super::{AverageArgs, RunningSumArgs};
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;
use crate::kernels::reduce_s8::MeanS8;

/// Sum over rows and columns, per channel, row by row.
#[derive(Clone, Copy, Debug)]
pub struct RunningSum {
    pub channels: usize,
}

/// The average pool over all rows and columns, from its sums.
#[derive(Clone, Copy, Debug)]
pub struct AverageOfSumsS8 {
    /// Rows times columns.
    pub count: usize,
    pub min: i32,
    pub max: i32,
}

/// What [`MeanS8`] computes, from its sums.
#[derive(Clone, Debug)]
pub struct MeanOfSumsS8(pub MeanS8);

impl RunningSum {
    /// `running_sum_s8`.
    pub fn pack_s8(&self) -> Packed {
        self.pack(id::RUNNING_SUM_S8)
    }

    /// `running_sum_f32`.
    pub fn pack_f32(&self) -> Packed {
        self.pack(id::RUNNING_SUM_F32)
    }

    fn pack(&self, kernel: u16) -> Packed {
        Packed::new(kernel, RunningSumArgs { channels: self.channels as u32 }.to_bytes())
    }
}

impl AverageOfSumsS8 {
    /// `average_of_sums_s8`.
    pub fn pack(&self) -> Packed {
        let (min, max) = (self.min as i8, self.max as i8);
        let args = AverageArgs { count: self.count as u32, min, max, reserved: 0 };
        Packed::new(id::AVERAGE_OF_SUMS_S8, args.to_bytes())
    }
}

impl MeanOfSumsS8 {
    /// `mean_of_sums_s8` for the mean.
    pub fn pack(&self) -> Packed {
        Packed { kernel: id::MEAN_OF_SUMS_S8, ..self.0.pack() }
    }

    /// `mean_of_sums_s8` for the sum.
    pub fn pack_sum(&self) -> Packed {
        Packed { kernel: id::MEAN_OF_SUMS_S8, ..self.0.pack_sum() }
    }
}
