//! Kernels: one folder per operator.
//!
//! Each folder holds, side by side, so that they cannot drift apart:
//! * `run`: the portable kernel, which is the operator's definition (`no_std`, called by the engine);
//! * `check`: a `const fn` that accepts or refuses a step's arguments, types and shapes;
//! * `pack` (feature `pack`, host only): from a description with plain weights to the kernel's identifier,
//!   arguments, constants and scratch size.
//!
//! May use `plan` and `engine::call`; called through [`Library`].

pub mod attention;
pub mod attention_f32;
pub mod attention_s8;
pub mod binary_f32;
pub mod binary_s8;
mod block;
pub mod cast;
pub mod columns;
pub mod concat;
pub mod conv2d_f32;
pub mod conv2d_s8;
pub mod copy;
pub mod depthwise_f32;
pub mod depthwise_s8;
pub(crate) mod exp;
mod found;
pub mod fully_connected_f32;
pub mod fully_connected_s8;
pub mod gather;
mod lanes;
pub mod layer_norm_f32;
pub mod layer_norm_s8;
pub mod library;
pub mod lut_s8;
pub mod matmul_f32;
pub mod matmul_s8;
pub mod numbers;
#[cfg(feature = "pack")]
pub mod pack;
pub mod pad;
pub mod pool_f32;
pub mod pool_s8;
pub mod portable;
pub mod prelu_f32;
pub mod prelu_s8;
pub mod quantize;
pub mod recurrent_f32;
pub mod reduce_f32;
pub mod reduce_s8;
pub mod requantize;
pub mod resize;
pub mod running_sum;
pub mod s8;
pub mod slice;
pub mod softmax_f32;
pub mod softmax_s8;
pub mod sparse;
pub mod spmm_f32;
pub mod spmm_s8;
pub mod step;
pub mod strided;
pub mod target_s8;
pub mod unary_f32;

pub use library::{Entry, KernelTable, Library};
pub use portable::PORTABLE;
pub use step::StepView;
