//! How much stack was used: free stack is painted with a pattern, and what lost its paint was used.

use core::arch::asm;

const PAINT: u32 = 0x5ac3_5ac3;

unsafe extern "C" {
    /// Lowest address of the stack: placed by the linker behind everything static.
    static mut _stack_end: u32;
}

/// A painted stack.
pub struct Painted {
    /// The stack pointer at the time of painting.
    from: usize,
}

/// Paints the free stack below the caller.
#[inline(always)]
pub fn paint() -> Painted {
    let from: usize;
    // SAFETY: writes only words between the end of the stack and the stack pointer, which nobody
    // owns: Arm has no red zone, and an interrupt that comes in between uses the words and gives
    // them back.
    unsafe {
        asm!(
            "mov {from}, sp",
            "mov {at}, {from}",
            "2:",
            "cmp {at}, {end}",
            "bls 3f",
            "subs {at}, #4",
            "str {paint}, [{at}]",
            "b 2b",
            "3:",
            from = out(reg) from,
            at = out(reg) _,
            end = in(reg) end(),
            paint = in(reg) PAINT,
        );
    }
    Painted { from }
}

impl Painted {
    /// Most bytes of stack in use below the painter since then.
    pub fn high_water(&self) -> usize {
        let mut at = end();
        while at < self.from {
            // SAFETY: an aligned word within the stack; volatile, because no Rust object is there.
            let word = unsafe { (at as *const u32).read_volatile() };
            if word != PAINT {
                break;
            }
            at += size_of::<u32>();
        }
        self.from - at
    }
}

fn end() -> usize {
    &raw const _stack_end as usize
}
