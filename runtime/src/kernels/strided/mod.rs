//! Whole tensors read with other strides (`strided`): transposition, broadcasting, slices of several axes. The operand
//! and the output are single rows that hold a whole tensor each; for any element type.

#[cfg(feature = "pack")]
mod pack;

#[cfg(feature = "pack")]
pub use pack::{BroadcastTo, Strided, Transpose};

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::plan::Fault;
use crate::records;

records! {
    /// Arguments of `strided`: output element `[i0, .., i5]` is input element `offset + i0 * stride0 + ..`.
    pub struct StridedArgs {
        /// Bytes of an element: 1, 2 or 4.
        pub element: u32,
        pub offset: u32,
        /// Output shape, ones in front.
        pub shape: [u32; 6],
        /// In elements of the input.
        pub strides: [u32; 6],
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = StridedArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == StridedArgs::SIZE && step.inputs() == 1 && !step.any_in_place();
    if !fits || !matches!(args.element, 1 | 2 | 4) || !step.elementwise(0) {
        return Err(Fault::Arguments);
    }
    let mut count = 1u64;
    let mut last = args.offset as u64;
    let mut axis = 0;
    while axis < 6 {
        if args.shape[axis] == 0 {
            return Err(Fault::Shape);
        }
        count = count.saturating_mul(args.shape[axis] as u64);
        last = last.saturating_add((args.shape[axis] as u64 - 1) * args.strides[axis] as u64);
        axis += 1;
    }
    match (step.operand(0), step.output()) {
        (Ok(from), Ok(to)) => {
            let element = args.element as u64;
            let whole = count.saturating_mul(element) == to.row_bytes as u64;
            let inside = match (from.row_bytes as u64).checked_div(element) {
                Some(elements) => last < elements,
                None => false,
            };
            if whole && inside { Ok(()) } else { Err(Fault::Range) }
        }
        _ => Err(Fault::Range),
    }
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = StridedArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    output.for_each(|slice, row, dst| {
        let src = source.only(slice, row)?;
        match args.element {
            1 => gather::<1>(&args, src, dst),
            2 => gather::<2>(&args, src, dst),
            _ => gather::<4>(&args, src, dst),
        }
    })
}

fn gather<const E: usize>(args: &StridedArgs, src: &[u8], dst: &mut [u8]) -> Result<(), Mismatch> {
    let (src, _) = src.as_chunks::<E>();
    let (dst, _) = dst.as_chunks_mut::<E>();
    let [outer @ .., inner] = args.shape;
    let [outer_strides @ .., stride] = args.strides.map(|stride| stride as usize);
    // Index, length and stride of each outer axis; together, because zipped iterators that run backwards may panic.
    let mut axes = outer.map(|len| (0u32, len, 0));
    axes.iter_mut().zip(outer_strides).for_each(|(axis, stride)| axis.2 = stride);
    let mut base = args.offset as usize;
    for dst in dst.chunks_exact_mut((inner as usize).max(1)) {
        let src = src.get(base..).ok_or(Mismatch)?;
        match stride {
            0 => dst.fill(*src.first().ok_or(Mismatch)?),
            1 => dst.copy_from_slice(src.get(..dst.len()).ok_or(Mismatch)?),
            _ => dst.iter_mut().zip(src.iter().step_by(stride)).for_each(|(to, from)| *to = *from),
        }
        // The next line: count up from the last axis, with carry.
        for (index, len, stride) in axes.iter_mut().rev() {
            *index += 1;
            base = base.wrapping_add(*stride);
            if *index < *len {
                break;
            }
            base = base.wrapping_sub(stride.wrapping_mul(*len as usize));
            *index = 0;
        }
    }
    Ok(())
}
