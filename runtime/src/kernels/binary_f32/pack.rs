//! Float elementwise operators for the compiler.

use super::{BinaryF32Args, Function};
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// `f(a, b)` with floats.
///
/// Number `i` of the output row meets number `(i / repeat) % len` of an operand's row, `len` being the length of
/// that row. So, with `repeat` 1: a row as long as the output's is taken number by number, a shorter one (per channel)
/// over and over, a row of one number everywhere. A value per position for all channels has `repeat` = channels.
/// One row for all output rows is a window of stride 0. Either operand, or both, may be in place.
#[derive(Clone, Copy, Debug)]
pub struct BinaryF32 {
    pub function: Function,
    pub repeat_a: usize,
    pub repeat_b: usize,
    /// Clamp of the result; infinite if there is none.
    pub min: f32,
    pub max: f32,
}

impl BinaryF32 {
    pub fn pack(&self) -> Packed {
        let args = BinaryF32Args {
            function: self.function as u32,
            repeat_a: self.repeat_a as u32,
            repeat_b: self.repeat_b as u32,
            min: self.min,
            max: self.max,
        };
        Packed::new(id::BINARY_F32, args.to_bytes())
    }
}
