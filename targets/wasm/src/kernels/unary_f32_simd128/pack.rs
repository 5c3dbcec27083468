//! Packing of `unary_f32_simd128`.

use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::unary_f32::{Function, UnaryF32};

use crate::kernels::id;

/// The kernel, fed; `None` for functions that it has no vectors for.
pub fn pack(layer: &UnaryF32) -> Option<Packed> {
    use Function::{Erf, Exp, Gelu, GeluTanh, HardSigmoid, HardSwish, Sigmoid, Swish, Tanh};
    let own = matches!(
        layer.function,
        Sigmoid | Swish | Exp | Tanh | Erf | Gelu | GeluTanh | HardSwish | HardSigmoid
    );
    own.then(|| Packed { kernel: id::UNARY_F32_SIMD128, ..layer.pack() })
}
