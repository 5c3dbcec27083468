//! The instruction counter is exact: loops of known length.
#![no_std]
#![no_main]

use core::arch::asm;

use mote_boards as board;
use mote_cortex_m::mark;

#[board::entry]
fn main() -> ! {
    // Nothing at all.
    mark::begin_section();
    mark::end_section();

    // One instruction, then two for each of 2^20 turns.
    mark::begin_section();
    // SAFETY: counts a register down.
    unsafe {
        asm!("mov.w {n}, #0x100000", "2:", "subs {n}, #1", "bne 2b", n = out(reg) _);
    }
    mark::end_section();

    // A loop within a loop, with a branch in it that skips an instruction every other time:
    // 1 + 1000 * (1 + 100 * 4 + 50 + 3) instructions, 1000 * (99 + 50) + 999 taken branches.
    mark::begin_section();
    // SAFETY: counts registers.
    unsafe {
        asm!(
            "mov.w {i}, #1000",
            "2:",
            "movs {j}, #100",
            "3:",
            "lsls {odd}, {j}, #31",
            "beq 4f",
            "adds {odd}, #1",
            "4:",
            "subs {j}, #1",
            "bne 3b",
            "nop",
            "subs {i}, #1",
            "bne 2b",
            i = out(reg) _, j = out(reg) _, odd = out(reg) _,
        );
    }
    mark::end_section();

    // Laps split an inference without a rest: 3 + 4 + 2 instructions.
    mark::begin_inference();
    // SAFETY: no operation.
    unsafe { asm!("nop", "nop", "nop") };
    mark::lap();
    // SAFETY: as above.
    unsafe { asm!("nop", "nop", "nop", "nop") };
    mark::lap();
    // SAFETY: as above.
    unsafe { asm!("nop", "nop") };
    mark::end_inference();

    // What is done while counting pauses is not seen.
    mark::begin_section();
    // SAFETY: no operation.
    unsafe { asm!("nop") };
    mark::pause();
    // SAFETY: counts a register down.
    unsafe {
        asm!("movs {n}, #100", "2:", "subs {n}, #1", "bne 2b", n = out(reg) _);
    }
    mark::resume();
    // SAFETY: no operation.
    unsafe { asm!("nop") };
    mark::end_section();

    defmt::info!("counted");
    board::exit(0)
}
