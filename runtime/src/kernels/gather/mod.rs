//! Gather with constant indices inside rows (`gather`), for any element type: the input row is `[outer, len]` blocks,
//! the output row `[outer, count]` blocks, of which block `i` is input block `indices[i]`. Constant: the indices.

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::kernels::numbers::numbers;
use crate::plan::Fault;
use crate::records;

records! {
    /// Arguments of `gather`.
    pub struct GatherArgs {
        /// Bytes of a block.
        pub block: u32,
        pub len: u32,
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = GatherArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == GatherArgs::SIZE && step.inputs() == 1 && !step.any_in_place();
    if !fits || args.block == 0 || args.len == 0 {
        return Err(Fault::Arguments);
    }
    let mut rest = step.blob(0);
    let count = rest.len() / 4;
    if count == 0 || !step.blob_is(0, count * 4, 4) {
        return Err(Fault::Shape);
    }
    while let Some((index, tail)) = rest.split_first_chunk::<4>() {
        if u32::from_le_bytes(*index) >= args.len {
            return Err(Fault::Range);
        }
        rest = tail;
    }
    let (given, made) = (args.block as u64 * args.len as u64, args.block as u64 * count as u64);
    match (step.operand(0), step.output()) {
        (Ok(from), Ok(to)) => {
            let (from, to) = (from.row_bytes as u64, to.row_bytes as u64);
            let rows = from % given == 0 && to % made == 0 && from / given == to / made;
            if rows && step.elementwise(0) { Ok(()) } else { Err(Fault::Shape) }
        }
        _ => Err(Fault::Range),
    }
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = GatherArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let indices: &[u32] = numbers(call.given.blob(0))?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    let block = (args.block as usize).max(1);
    let given = block.checked_mul(args.len as usize).ok_or(Mismatch)?.max(1);
    let made = block.checked_mul(indices.len()).ok_or(Mismatch)?.max(1);
    output.for_each(|slice, row, dst| {
        let src = source.only(slice, row)?;
        for (dst, src) in dst.chunks_exact_mut(made).zip(src.chunks_exact(given)) {
            for (dst, index) in dst.chunks_exact_mut(block).zip(indices) {
                let at = block.checked_mul(*index as usize).ok_or(Mismatch)?;
                let src = src.get(at..).and_then(|rest| rest.get(..block)).ok_or(Mismatch)?;
                dst.copy_from_slice(src);
            }
        }
        Ok(())
    })
}

/// A gather along one axis of the row, for the compiler.
#[cfg(feature = "pack")]
#[derive(Clone, Copy, Debug)]
pub struct Gather<'a> {
    /// Bytes of what is picked as a whole: the product of the row's axes after the gathered one, times the element.
    pub block_bytes: usize,
    /// Length of the gathered axis in the input.
    pub len: usize,
    /// Each below `len`.
    pub indices: &'a [u32],
}

#[cfg(feature = "pack")]
impl Gather<'_> {
    pub fn pack(&self) -> crate::kernels::pack::Packed {
        let args = GatherArgs { block: self.block_bytes as u32, len: self.len as u32 };
        crate::kernels::pack::Packed::new(crate::kernels::portable::id::GATHER, args.to_bytes())
            .with_blob(self.indices)
    }
}
