//! Elementwise float functions for the compiler.

use super::{Function, UnaryF32Args};
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// `function` of every number. The operand may be in place.
#[derive(Clone, Copy, Debug)]
pub struct UnaryF32 {
    pub function: Function,
    /// Parameters; see [`Function`].
    pub p: f32,
    pub q: f32,
}

impl UnaryF32 {
    pub fn pack(&self) -> Packed {
        let args = UnaryF32Args { function: self.function as u32, p: self.p, q: self.q };
        Packed::new(id::UNARY_F32, args.to_bytes())
    }
}
