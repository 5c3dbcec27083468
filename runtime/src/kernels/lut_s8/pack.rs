//! Packing of `lut_s8`.

use alloc::vec::Vec;

use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// A function of one code.
#[derive(Clone, Debug)]
pub struct LutS8<'a> {
    /// Results for the codes -128, -127, .. 127.
    pub table: &'a [i8; 256],
}

impl LutS8<'_> {
    /// Kernel and constants.
    pub fn pack(&self) -> Packed {
        let table: Vec<i8> = (0..256).map(|i| self.table[(i + 128) % 256]).collect();
        Packed::new(id::LUT_S8, Vec::new()).with_blob(&table)
    }
}
