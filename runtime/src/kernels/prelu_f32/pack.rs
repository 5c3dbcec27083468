//! Float PReLU for the compiler.

use crate::kernels::pack::Packed;
use crate::kernels::portable::id;
use alloc::vec::Vec;

/// `x` where positive, `slope * x` elsewhere. The operand may be in place.
#[derive(Clone, Copy, Debug)]
pub struct PreluF32<'a> {
    /// Repeated along the row: one, one per channel, or one per number of the row.
    pub slopes: &'a [f32],
}

impl PreluF32<'_> {
    pub fn pack(&self) -> Packed {
        Packed::new(id::PRELU_F32, Vec::new()).with_blob(self.slopes)
    }
}
