//! Concatenation inside rows (`concat`), for any element type: each input row is `[positions, width_k]`, the output
//! row `[positions, sum of widths]`. (Along outer axes the compiler copies into views of the output.)

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::plan::Fault;
use crate::records;

records! {
    /// Arguments of `concat`.
    pub struct ConcatArgs {
        pub positions: u32,
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = ConcatArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == ConcatArgs::SIZE && step.inputs() > 0 && !step.any_in_place();
    if !fits || args.positions == 0 {
        return Err(Fault::Arguments);
    }
    let mut bytes = 0u64;
    let mut k = 0;
    while k < step.inputs() {
        let Ok(input) = step.operand(k) else { return Err(Fault::Range) };
        if input.row_bytes == 0 || input.row_bytes % args.positions != 0 || !step.elementwise(k) {
            return Err(Fault::Shape);
        }
        bytes += input.row_bytes as u64;
        k += 1;
    }
    match step.output() {
        Ok(output) if output.row_bytes as u64 == bytes => Ok(()),
        Ok(_) => Err(Fault::Shape),
        Err(fault) => Err(fault),
    }
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = ConcatArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (given, mut output) = (call.given, call.output);
    let positions = (args.positions as usize).max(1);
    output.for_each(|slice, row, dst| {
        let pitch = (dst.len() / positions).max(1);
        let mut at = 0;
        for k in 0..given.inputs() {
            let src = given.source(k)?.only(slice, row)?;
            let width = (src.len() / positions).max(1);
            for (dst, src) in dst.chunks_exact_mut(pitch).zip(src.chunks_exact(width)) {
                dst.get_mut(at..at + width).ok_or(Mismatch)?.copy_from_slice(src);
            }
            at += width;
        }
        Ok(())
    })
}

/// A concatenation, for the compiler.
#[cfg(feature = "pack")]
#[derive(Clone, Copy, Debug)]
pub struct Concat {
    /// Numbers of positions in a row: the product of the row's axes before the joined one. The widths follow from
    /// the operands' rows.
    pub positions: usize,
}

#[cfg(feature = "pack")]
impl Concat {
    pub fn pack(&self) -> crate::kernels::pack::Packed {
        let args = ConcatArgs { positions: self.positions as u32 };
        crate::kernels::pack::Packed::new(crate::kernels::portable::id::CONCAT, args.to_bytes())
    }
}
