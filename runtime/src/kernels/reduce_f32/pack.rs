//! Float reductions for the compiler.

use super::{MAX, MEAN, ReduceF32Args, SUM};
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;

/// What a reduction computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceFunction {
    Mean,
    Sum,
    Max,
}

/// A reduction of floats over all rows of the window of operand 0 and, in each row `[outer, len, inner]`, over `len`.
/// The output row is `[outer, inner]`. Over rows and columns: `outer` 1, `len` columns, `inner` channels; over the
/// last axis: `inner` 1, `len` channels, `outer` columns.
#[derive(Clone, Copy, Debug)]
pub struct ReduceF32 {
    pub function: ReduceFunction,
    pub outer: usize,
    pub len: usize,
    pub inner: usize,
}

impl ReduceF32 {
    pub fn pack(&self) -> Packed {
        let function = match self.function {
            ReduceFunction::Mean => MEAN,
            ReduceFunction::Sum => SUM,
            ReduceFunction::Max => MAX,
        };
        let args = ReduceF32Args {
            function,
            outer: self.outer as u32,
            len: self.len as u32,
            inner: self.inner as u32,
        };
        Packed::new(id::REDUCE_F32, args.to_bytes())
    }
}
