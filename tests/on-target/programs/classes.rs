//! The instruction counter sorts instructions into the right classes.
#![no_std]
#![no_main]

use core::arch::asm;

use mote_boards as board;
use mote_cortex_m::mark;

#[board::entry]
fn main() -> ! {
    let mut memory = [0u32; 16];
    let at = memory.as_mut_ptr();

    // The markers are written out, so that the compiler puts nothing between them.

    // Single loads and stores; the second and third load follow another access.
    // SAFETY: loads and stores stay within `memory`, POP gives back what PUSH took, and every register written is
    // declared.
    unsafe {
        asm!(
            ".inst.w 0xf3af80f6",
            "ldr r1, [r0]", "ldrb r1, [r0, #1]", "ldrsh.w r1, [r0, #2]",
            "adds r1, #1",
            "str r1, [r0]", "strb r1, [r0, #1]", "strh.w r1, [r0, #2]", "ldr r1, [r0, #4]",
            ".inst.w 0xf3af80f7",
            in("r0") at, out("r1") _,
        );
    }
    // Several at once.
    // SAFETY: loads and stores stay within `memory`, POP gives back what PUSH took, and every register written is
    // declared.
    unsafe {
        asm!(
            ".inst.w 0xf3af80f6",
            "push {{r1, r2, r3}}", "pop {{r1, r2, r3}}", "ldmia.w r0, {{r1, r2}}", "stm r0!, {{r1, r2, r3}}",
            "ldrd r1, r2, [r0]", "strd r1, r2, [r0, #8]", "vldmia r0, {{s0-s3}}", "vldr d0, [r0]",
            ".inst.w 0xf3af80f7",
            inout("r0") at => _, out("r1") _, out("r2") _, out("r3") _,
            out("s0") _, out("s1") _, out("s2") _, out("s3") _,
        );
    }
    // Multiply, divide.
    // SAFETY: loads and stores stay within `memory`, POP gives back what PUSH took, and every register written is
    // declared.
    unsafe {
        asm!(
            ".inst.w 0xf3af80f6",
            "muls r1, r2", "mul r3, r1, r2", "mla r1, r2, r3, r1", "smlad r1, r2, r3, r1", "smlal r1, r2, r3, r3",
            "smmulr r3, r1, r2", "sdiv r1, r2, r3", "udiv r1, r2, r3",
            ".inst.w 0xf3af80f7",
            inout("r1") 1 => _, inout("r2") 2 => _, inout("r3") 3 => _,
        );
    }
    // Arithmetic in all sizes, and IT with one instruction that is skipped.
    // SAFETY: loads and stores stay within `memory`, POP gives back what PUSH took, and every register written is
    // declared.
    unsafe {
        asm!(
            ".inst.w 0xf3af80f6",
            "adds r1, r1, r2", "add.w r1, r1, #0x1000", "sxtb16 r1, r1, ror #8", "pkhbt r1, r1, r2, lsl #16",
            "ssat r1, #8, r1", "movw r3, #0x1234", "movt r3, #0x5678", "uxtb r1, r1", "qadd r1, r1, r2", "clz r2, r1",
            "cmp r1, r1", "it ne", "addne r1, r1, #1",
            ".inst.w 0xf3af80f7",
            inout("r1") 1 => _, inout("r2") 2 => _, out("r3") _,
        );
    }
    // Branches: call and return, forward not taken and taken, table branch.
    // SAFETY: loads and stores stay within `memory`, POP gives back what PUSH took, and every register written is
    // declared.
    unsafe {
        asm!(
            ".inst.w 0xf3af80f6",
            "bl 3f", "cmp r1, r1", "bne 4f", "beq.w 2f", "nop", "2:", "cbnz r1, 4f", "movs r2, #0", "tbb [pc, r2]",
            ".byte 1, 1", "4:", ".inst.w 0xf3af80f7", "b 5f", "3:", "movs r1, #0", "bx lr", "5:",
            out("r1") _, out("r2") _, out("lr") _,
        );
    }
    // Floating point.
    // SAFETY: loads and stores stay within `memory`, POP gives back what PUSH took, and every register written is
    // declared.
    unsafe {
        asm!(
            ".inst.w 0xf3af80f6",
            "vldr s0, [r0]", "vldr s1, [r0, #4]", "vadd.f32 s2, s0, s1", "vmul.f32 s2, s0, s1", "vmla.f32 s2, s0, s1",
            "vfma.f32 s2, s0, s1", "vfnms.f32 s2, s0, s1", "vdiv.f32 s3, s0, s1", "vsqrt.f32 s3, s0",
            "vcvt.s32.f32 s2, s2", "vmov r1, s2", "vmov s2, s3", "vcmp.f32 s2, s3", "vmrs APSR_nzcv, FPSCR",
            "vstr s3, [r0]",
            ".inst.w 0xf3af80f7",
            in("r0") at, out("r1") _, out("s0") _, out("s1") _, out("s2") _, out("s3") _,
        );
    }
    // System.
    // SAFETY: loads and stores stay within `memory`, POP gives back what PUSH took, and every register written is
    // declared.
    unsafe {
        asm!(
            ".inst.w 0xf3af80f6", "nop", "nop.w", "dsb", "isb", "mrs r1, PRIMASK", "msr APSR_nzcvq, r1",
            ".inst.w 0xf3af80f7", out("r1") _,
        );
    }
    mark::lap(); // outside a section: ignored

    defmt::info!("sorted");
    board::exit(0)
}
