//! Copies rows (`copy`): the output row is all rows of the window, one behind the other. For any element type.

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::copy;
use crate::plan::Fault;

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    if !step.args().is_empty() || step.inputs() != 1 || step.any_in_place() {
        return Err(Fault::Arguments);
    }
    match (step.operand(0), step.output()) {
        (Ok(from), Ok(to)) => {
            let whole = from.row_bytes as u64 * step.window(0) as u64 == to.row_bytes as u64;
            if whole && step.within(0) { Ok(()) } else { Err(Fault::Shape) }
        }
        _ => Err(Fault::Range),
    }
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let (source, mut output) = (call.given.source(0)?, call.output);
    output.for_each(|slice, row, dst| {
        let pieces = dst.chunks_exact_mut(source.row_bytes().max(1));
        for (dst, src) in pieces.zip(source.window(slice, row).iter()) {
            copy(dst, src.ok_or(Mismatch)?)?;
        }
        Ok(())
    })
}

/// A copy, for the compiler.
#[cfg(feature = "pack")]
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyRows;

#[cfg(feature = "pack")]
impl CopyRows {
    pub fn pack(&self) -> crate::kernels::pack::Packed {
        crate::kernels::pack::Packed::new(crate::kernels::portable::id::COPY, alloc::vec::Vec::new())
    }
}
