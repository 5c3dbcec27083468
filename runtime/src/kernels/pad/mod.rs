//! Constant padding (`pad`), for any element type: the input row is `[outer, len]` bytes, the output row
//! `[outer, before + len + after]`. A row that lies outside of the input becomes a row of padding, so that outer axes
//! are padded by windows.

use crate::engine::{Call, Mismatch};
use crate::kernels::StepView;
use crate::plan::Fault;
use crate::records;

records! {
    /// Arguments of `pad`; in bytes.
    pub struct PadArgs {
        pub before: u32,
        pub len: u32,
        pub after: u32,
        /// The padding, which repeats every four bytes.
        pub fill: u32,
    }
}

pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let Some(args) = PadArgs::read(step.args(), 0) else { return Err(Fault::Arguments) };
    let fits = step.args().len() == PadArgs::SIZE && step.inputs() == 1 && !step.any_in_place();
    if !fits || args.len == 0 || step.window(0) != 1 {
        return Err(Fault::Arguments);
    }
    let (given, made) = (args.len as u64, args.before as u64 + args.len as u64 + args.after as u64);
    match (step.operand(0), step.output()) {
        (Ok(from), Ok(to)) => {
            let (from, to) = (from.row_bytes as u64, to.row_bytes as u64);
            let rows = from % given == 0 && to % made == 0 && from / given == to / made;
            if rows { Ok(()) } else { Err(Fault::Shape) }
        }
        _ => Err(Fault::Range),
    }
}

pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let args = PadArgs::read(call.given.args(), 0).ok_or(Mismatch)?;
    let (source, mut output) = (call.given.source(0)?, call.output);
    let (before, len, after) = (args.before as usize, (args.len as usize).max(1), args.after as usize);
    let made = before.checked_add(len).and_then(|sum| sum.checked_add(after)).ok_or(Mismatch)?.max(1);
    let fill = args.fill.to_le_bytes();
    output.for_each(|slice, row, dst| {
        // All of it, since a piece may begin anywhere in the pattern; rows begin at its start.
        let (patterns, tail) = dst.as_chunks_mut::<4>();
        patterns.fill(fill);
        tail.iter_mut().zip(fill).for_each(|(to, byte)| *to = byte);
        let Some(src) = source.window(slice, row).get(0) else { return Ok(()) };
        for (dst, src) in dst.chunks_exact_mut(made).zip(src.chunks_exact(len)) {
            dst.get_mut(before..before + len).ok_or(Mismatch)?.copy_from_slice(src);
        }
        Ok(())
    })
}

/// Padding of one axis of the row, for the compiler. Operand 0: a window of one row, which may lie outside.
#[cfg(feature = "pack")]
#[derive(Clone, Copy, Debug)]
pub struct Pad {
    /// Bytes before, i.e. entries times the product of the row's axes after the padded one, times the element.
    pub before_bytes: usize,
    /// Bytes of the padded axis (and all after it) in the input row.
    pub len_bytes: usize,
    pub after_bytes: usize,
    /// The element to pad with: its 1, 2 or 4 bytes, little-endian.
    pub fill: [u8; 4],
    /// Bytes of an element: 1, 2 or 4.
    pub element: usize,
}

#[cfg(feature = "pack")]
impl Pad {
    pub fn pack(&self) -> crate::kernels::pack::Packed {
        let [a, b, _, _] = self.fill;
        let fill = match self.element {
            1 => [a, a, a, a],
            2 => [a, b, a, b],
            _ => self.fill,
        };
        let args = PadArgs {
            before: self.before_bytes as u32,
            len: self.len_bytes as u32,
            after: self.after_bytes as u32,
            fill: u32::from_le_bytes(fill),
        };
        crate::kernels::pack::Packed::new(crate::kernels::portable::id::PAD, args.to_bytes())
    }
}
