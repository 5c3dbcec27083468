//! The part of the vector table that is the board's own: one entry for each of its interrupts, none of which is used.

use crate::board::INTERRUPTS;

unsafe extern "C" {
    /// Ends in the default handler of cortex-m-rt.
    fn DefaultHandler();
}

#[unsafe(link_section = ".vector_table.interrupts")]
#[unsafe(no_mangle)]
static __INTERRUPTS: [unsafe extern "C" fn(); INTERRUPTS] = [DefaultHandler; INTERRUPTS];
