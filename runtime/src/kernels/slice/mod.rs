//! Slices inside rows (`slice`), for any element type: the input row is `[outer, len]` blocks, the output row
//! `[outer, count]` blocks, of which block `i` is input block `start + i * step`. (Outer axes are sliced by windows.)

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::plan::Fault;
use crate::records;

records! {
    /// Arguments of `slice`.
    pub struct SliceArgs {
        /// Bytes of a block.
        pub block: u32,
        pub len: u32,
        pub start: u32,
        pub step: u32,
        pub count: u32,
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = SliceArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == SliceArgs::SIZE && step.inputs() == 1 && !step.any_in_place();
    if !fits || args.block == 0 || args.len == 0 || args.count == 0 || args.step == 0 {
        return Err(Fault::Arguments);
    }
    let last = args.start as u64 + (args.count as u64 - 1) * args.step as u64;
    let (given, made) = (args.block as u64 * args.len as u64, args.block as u64 * args.count as u64);
    if last >= args.len as u64 {
        return Err(Fault::Range);
    }
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
    let args = SliceArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    let (block, step) = ((args.block as usize).max(1), (args.step as usize).max(1));
    let given = block.checked_mul(args.len as usize).ok_or(Mismatch)?.max(1);
    let made = block.checked_mul(args.count as usize).ok_or(Mismatch)?.max(1);
    let skipped = block.checked_mul(args.start as usize).ok_or(Mismatch)?;
    output.for_each(|slice, row, dst| {
        let src = source.only(slice, row)?;
        for (dst, src) in dst.chunks_exact_mut(made).zip(src.chunks_exact(given)) {
            let src = src.get(skipped..).ok_or(Mismatch)?;
            if step == 1 {
                dst.copy_from_slice(src.get(..made).ok_or(Mismatch)?);
                continue;
            }
            for (dst, src) in dst.chunks_exact_mut(block).zip(src.chunks_exact(block).step_by(step)) {
                dst.copy_from_slice(src);
            }
        }
        Ok(())
    })
}

/// A slice along one axis of the row, for the compiler.
#[cfg(feature = "pack")]
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Bytes of what is picked as a whole: the product of the row's axes after the sliced one, times the element.
    pub block_bytes: usize,
    /// Length of the sliced axis in the input.
    pub len: usize,
    pub start: usize,
    /// At least 1.
    pub step: usize,
    /// Length of the sliced axis in the output.
    pub count: usize,
}

#[cfg(feature = "pack")]
impl Slice {
    pub fn pack(&self) -> crate::kernels::pack::Packed {
        let args = SliceArgs {
            block: self.block_bytes as u32,
            len: self.len as u32,
            start: self.start as u32,
            step: self.step as u32,
            count: self.count as u32,
        };
        crate::kernels::pack::Packed::new(crate::kernels::portable::id::SLICE, args.to_bytes())
    }
}
