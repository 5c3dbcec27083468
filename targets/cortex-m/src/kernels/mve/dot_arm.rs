//! The loops of [`dot`](super::dot) for Helium.
//!
//! The eight accumulators of [`Loop::pairs`] are the registers that `VMLADAVA` can add to: the even ones. The first
//! step starts them (`VMLADAV`). The other steps run in a loop of four, which is entered in its middle, so that any
//! number of steps costs two instructions for each four. Everything that the loop does not need lies on the stack.
//!
//! Codes are saturated to their type as they narrow; a layer with another clamp has its rows clamped afterwards. Two
//! vectors of sums narrow to one, in turns, and one store scatters its bytes to where they belong.

use core::arch::asm;

use super::dot::{Layer, Loops, STEP};
use super::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

/// What [`Loop::pairs`] keeps on the stack.
#[repr(C)]
struct Pairs {
    x: [*const i8; 2],
    /// Times that the loop is entered again.
    again: usize,
    /// Bytes of code from the loop's entry to its end.
    entry: usize,
    /// The position whose codes lie before the other one's.
    to: *mut i8,
    blocks_end: *const [[i32; 4]; 3],
    blocks: *const [[i32; 4]; 3],
    weights: *const [[i8; STEP]; 4],
    pairs: usize,
    x_advance: usize,
    to_advance: usize,
    /// How far behind `to` the codes of both positions lie.
    offsets: [u16; 2],
}

/// What [`Loop::eights`] keeps on the stack.
#[repr(C)]
struct Eights {
    x: *const i8,
    again: usize,
    entry: usize,
    /// Bytes of a block's weights.
    block: usize,
    to: *mut i8,
    blocks_end: *const [[i32; 4]; 3],
}

/// What [`Loop::fours`] keeps on the stack.
#[repr(C)]
struct Fours {
    x: *const i8,
    /// Times that the loop's end is reached.
    passes: usize,
    entry: usize,
    to: *mut i8,
    blocks_end: *const [[i32; 4]; 3],
}

/// Instructions of a step, each four bytes long.
const PAIRS_STEP: usize = 14;
const EIGHTS_STEP: usize = 17;
const FOURS_STEP: usize = 9;

impl Pairs {
    /// For one pair of positions, unless told otherwise, whose codes lie so far behind `to`.
    #[inline(always)]
    fn new(layer: &Layer<'_>, blocks: usize, x: [*const i8; 2], to: *mut i8, offsets: [u16; 2]) -> Self {
        let more = layer.steps - 1;
        Self {
            x,
            again: more / 4,
            entry: more % 4 * 4 * PAIRS_STEP,
            to,
            blocks_end: layer.blocks.as_ptr().wrapping_add(blocks),
            blocks: layer.blocks.as_ptr(),
            weights: layer.weights.as_ptr(),
            pairs: 1,
            x_advance: 0,
            to_advance: 0,
            offsets,
        }
    }
}

/// Offsets of scattered bytes have 16 bits, and a block has four.
const MOST_APART: usize = u16::MAX as usize - 3;

/// Turns a vector of 0, 1, 2, 3 into twice each, in halves of words.
const TWICE: u32 = 0x1_0001;

/// Where the halves of [`Loop::eights`] lie: the second four bytes behind the first ones.
const FOUR_BEHIND: u32 = 4 << 16;

/// The loops.
trait Loop<const ROUNDING: u8> {
    /// Pairs of positions.
    ///
    /// # Safety
    /// There must be a pair, a block and a step, and all that the frame names.
    unsafe fn pairs(&self, frame: &Pairs);

    /// One position, `count` times two blocks from block `first` on: each input is fetched once for eight channels.
    ///
    /// # Safety
    /// There must be a step, two blocks, and all that these read and write.
    unsafe fn eights(&self, first: usize, count: usize, x: &[i8], to: &mut [i8]);

    /// One position, `blocks` blocks from block `first` on.
    ///
    /// # Safety
    /// There must be a step, a block, and all that these read and write.
    unsafe fn fours(&self, first: usize, blocks: usize, x: &[i8], to: &mut [i8]);
}

macro_rules! loops {
    ($rounding:ident, $high:literal, $away0:literal, $away1:literal) => {
        impl Loop<$rounding> for Layer<'_> {
            #[inline(never)]
            unsafe fn pairs(&self, frame: &Pairs) {
                // SAFETY: the caller's promise: every address read lies in the positions, the weights or the blocks, every
                // one written in what their codes take. R6 and R7 are given back, and so is the stack pointer.
                unsafe {
                    asm!(
                        ".macro mote_step mla",
                        "vldrb.u8 q0, [r3], #16",
                        "vldrb.u8 q2, [r1], #16",
                        r"\mla r0, q0, q2",
                        "vldrb.u8 q1, [r5], #16",
                        r"\mla r8, q1, q2",
                        "vldrb.u8 q3, [r1], #16",
                        r"\mla r2, q0, q3",
                        r"\mla r10, q1, q3",
                        "vldrb.u8 q2, [r1], #16",
                        r"\mla r4, q0, q2",
                        r"\mla r12, q1, q2",
                        "vldrb.u8 q3, [r1], #16",
                        r"\mla r6, q0, q3",
                        r"\mla lr, q1, q3",
                        ".endm",
                        "push {{r6, r7}}",
                        "vdup.16 q5, r1",
                        "ldr r1, [r0, #44]",
                        "vidup.u32 q6, r2, #1",
                        "vmul.i32 q6, q6, r3",
                        "vadd.i32 q6, q6, r1",
                        // 0 x, 8 again, 12 entry, 16 to, 20 blocks' end, 24 blocks, 28 weights, 32 pairs, 36 advances.
                        "ldm r0, {{r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
                        "push {{r1, r2, r3, r4, r5, r6, r7, r8, r9, r10, r11}}",
                        "adr.w r0, 4f",
                        "sub r0, r0, r4",
                        "add r0, r0, #1",
                        "str r0, [sp, #12]",
                        "1:",
                        "ldrd r9, r1, [sp, #24]",
                        "2:",
                        "ldrd r3, r5, [sp]",
                        "ldrd r7, r11, [sp, #8]",
                        "mote_step vmladav.s8",
                        "bx r11",
                        ".p2align 2",
                        "3:",
                        ".rept 4",
                        "mote_step vmladava.s8",
                        ".endr",
                        "4:",
                        "subs r7, #1",
                        "bpl.w 3b",
                        "vldrw.u32 q2, [r9], #16",
                        "vmov d0, r0, r2",
                        "vmov d1, r4, r6",
                        "vmov d2, r8, r10",
                        "vmov d3, r12, lr",
                        "vadd.i32 q0, q0, q2",
                        "vldrw.u32 q3, [r9], #16",
                        "vadd.i32 q1, q1, q2",
                        concat!($high, " q0, q0, q3"),
                        "vldrw.u32 q4, [r9], #16",
                        concat!($high, " q1, q1, q3"),
                        $away0,
                        $away1,
                        "vrshl.s32 q0, q0, q4",
                        "vrshl.s32 q1, q1, q4",
                        "vqmovnb.s32 q0, q0",
                        "vqmovnt.s32 q0, q1",
                        "ldrd r0, r4, [sp, #16]",
                        "vqadd.s16 q0, q0, q5",
                        "vqmovnb.s16 q0, q0",
                        "vstrb.16 q0, [r0, q6]",
                        "add r0, #4",
                        "str r0, [sp, #16]",
                        "cmp r9, r4",
                        "bne.w 2b",
                        "ldr r3, [sp, #32]",
                        "subs r3, #1",
                        "beq 5f",
                        "str r3, [sp, #32]",
                        "ldrd r3, r4, [sp, #36]",
                        "add r0, r4",
                        "str r0, [sp, #16]",
                        "ldrd r0, r2, [sp]",
                        "add r0, r3",
                        "add r2, r3",
                        "strd r0, r2, [sp]",
                        "b.w 1b",
                        "5:",
                        "add sp, #44",
                        "pop {{r6, r7}}",
                        ".purgem mote_step",
                        inlateout("r0") frame => _,
                        inlateout("r1") self.stage.zero_point => _,
                        inlateout("r2") 0 => _,
                        inlateout("r3") TWICE => _,
                        out("r4") _, out("r5") _, out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _,
                        out("lr") _,
                        out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                        out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                        out("d14") _, out("d15") _,
                    );
                }
            }

            #[inline(never)]
            unsafe fn fours(&self, first: usize, blocks: usize, x: &[i8], to: &mut [i8]) {
                let more = self.steps - 1;
                let start = self.blocks.as_ptr().wrapping_add(first);
                let frame = Fours {
                    x: x.as_ptr(),
                    passes: more / 4 + 1,
                    entry: more % 4 * 4 * FOURS_STEP,
                    to: to.as_mut_ptr(),
                    blocks_end: start.wrapping_add(blocks),
                };
                // SAFETY: as above.
                unsafe {
                    asm!(
                        ".macro mote_step mla",
                        "vldrb.u8 q0, [r3], #16",
                        "vldrb.u8 q1, [r1], #16",
                        r"\mla r0, q0, q1",
                        "vldrb.u8 q2, [r1], #16",
                        r"\mla r2, q0, q2",
                        "vldrb.u8 q1, [r1], #16",
                        r"\mla r4, q0, q1",
                        "vldrb.u8 q2, [r1], #16",
                        r"\mla r6, q0, q2",
                        ".endm",
                        "push {{r6, r7}}",
                        "vdup.16 q5, r2",
                        // 0 x, 4 passes, 8 entry, 12 to, 16 blocks' end.
                        "ldm r0, {{r2, r3, r4, r5, r6}}",
                        "push {{r2, r3, r4, r5, r6}}",
                        "adr.w r0, 4f",
                        "sub r0, r0, r4",
                        "add r0, r0, #1",
                        "str r0, [sp, #8]",
                        "2:",
                        "ldr r3, [sp]",
                        "ldrd r5, r11, [sp, #4]",
                        "dls lr, r5",
                        "mote_step vmladav.s8",
                        "bx r11",
                        ".p2align 2",
                        "3:",
                        ".rept 4",
                        "mote_step vmladava.s8",
                        ".endr",
                        "4:",
                        "le lr, 3b",
                        "vldrw.u32 q2, [r9], #16",
                        "vmov d0, r0, r2",
                        "vmov d1, r4, r6",
                        "vadd.i32 q0, q0, q2",
                        "vldrw.u32 q3, [r9], #16",
                        concat!($high, " q0, q0, q3"),
                        "vldrw.u32 q4, [r9], #16",
                        $away0,
                        "vrshl.s32 q0, q0, q4",
                        "vqmovnb.s32 q0, q0",
                        "ldrd r0, r2, [sp, #12]",
                        "vqadd.s16 q0, q0, q5",
                        "vqmovnb.s16 q0, q0",
                        "vstrb.32 q0, [r0], #4",
                        "str r0, [sp, #12]",
                        "cmp r9, r2",
                        "bne.w 2b",
                        "add sp, #20",
                        "pop {{r6, r7}}",
                        ".purgem mote_step",
                        inlateout("r0") &raw const frame => _,
                        inlateout("r1") self.weights.as_ptr().wrapping_add(first * self.steps) => _,
                        inlateout("r2") self.stage.zero_point => _,
                        out("r3") _, out("r4") _,
                        inlateout("r9") start => _,
                        out("r5") _, out("r11") _, out("lr") _,
                        out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                        out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                        out("d14") _, out("d15") _,
                    );
                }
            }

            #[inline(never)]
            unsafe fn eights(&self, first: usize, count: usize, x: &[i8], to: &mut [i8]) {
                let more = self.steps - 1;
                let start = self.blocks.as_ptr().wrapping_add(first);
                let frame = Eights {
                    x: x.as_ptr(),
                    again: more / 4,
                    entry: more % 4 * 4 * EIGHTS_STEP,
                    block: self.steps * size_of::<[[i8; STEP]; 4]>(),
                    to: to.as_mut_ptr(),
                    blocks_end: start.wrapping_add(2 * count),
                };
                // SAFETY: as above.
                unsafe {
                    asm!(
                        ".macro mote_step mla",
                        "vldrb.u8 q2, [r3], #16",
                        "vldrb.u8 q0, [r1], #16",
                        r"\mla r0, q0, q2",
                        "vldrb.u8 q1, [r1], #16",
                        r"\mla r2, q1, q2",
                        "vldrb.u8 q3, [r1], #16",
                        r"\mla r4, q3, q2",
                        "vldrb.u8 q0, [r1], #16",
                        r"\mla r6, q0, q2",
                        "vldrb.u8 q1, [r5], #16",
                        r"\mla r8, q1, q2",
                        "vldrb.u8 q3, [r5], #16",
                        r"\mla r10, q3, q2",
                        "vldrb.u8 q0, [r5], #16",
                        r"\mla r12, q0, q2",
                        "vldrb.u8 q1, [r5], #16",
                        r"\mla lr, q1, q2",
                        ".endm",
                        "push {{r6, r7}}",
                        "vdup.16 q5, r2",
                        "mov r2, #0",
                        "vidup.u32 q6, r2, #1",
                        "vmul.i32 q6, q6, r3",
                        "vadd.i32 q6, q6, r4",
                        // 0 x, 4 again, 8 entry, 12 bytes of a block, 16 to, 20 blocks' end.
                        "ldm r0, {{r2, r3, r4, r5, r6, r7}}",
                        "push {{r2, r3, r4, r5, r6, r7}}",
                        "adr.w r0, 4f",
                        "sub r0, r0, r4",
                        "add r0, r0, #1",
                        "str r0, [sp, #8]",
                        "2:",
                        "ldrd r3, r7, [sp]",
                        "ldrd r11, r5, [sp, #8]",
                        "add r5, r1",
                        "mote_step vmladav.s8",
                        "bx r11",
                        ".p2align 2",
                        "3:",
                        ".rept 4",
                        "mote_step vmladava.s8",
                        ".endr",
                        "4:",
                        "subs r7, #1",
                        "bpl.w 3b",
                        "mov r1, r5",
                        "vldrw.u32 q2, [r9], #16",
                        "vmov d0, r0, r2",
                        "vmov d1, r4, r6",
                        "vmov d2, r8, r10",
                        "vmov d3, r12, lr",
                        "vadd.i32 q0, q0, q2",
                        "vldrw.u32 q3, [r9], #16",
                        "vldrw.u32 q4, [r9], #16",
                        concat!($high, " q0, q0, q3"),
                        $away0,
                        "vldrw.u32 q2, [r9], #16",
                        "vrshl.s32 q0, q0, q4",
                        "vadd.i32 q1, q1, q2",
                        "vldrw.u32 q3, [r9], #16",
                        "vldrw.u32 q4, [r9], #16",
                        concat!($high, " q1, q1, q3"),
                        $away1,
                        "vrshl.s32 q1, q1, q4",
                        "vqmovnb.s32 q0, q0",
                        "vqmovnt.s32 q0, q1",
                        "ldrd r0, r2, [sp, #16]",
                        "vqadd.s16 q0, q0, q5",
                        "vqmovnb.s16 q0, q0",
                        "vstrb.16 q0, [r0, q6]",
                        "add r0, #8",
                        "str r0, [sp, #16]",
                        "cmp r9, r2",
                        "bne.w 2b",
                        "add sp, #24",
                        "pop {{r6, r7}}",
                        ".purgem mote_step",
                        inlateout("r0") &raw const frame => _,
                        inlateout("r1") self.weights.as_ptr().wrapping_add(first * self.steps) => _,
                        inlateout("r2") self.stage.zero_point => _,
                        inlateout("r3") TWICE => _,
                        inlateout("r4") FOUR_BEHIND => _,
                        inlateout("r9") start => _,
                        out("r5") _, out("r8") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
                        out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                        out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                        out("d14") _, out("d15") _,
                    );
                }
            }
        }

        impl Loops<$rounding> for Layer<'_> {
            fn pairs(&self, blocks: usize, x: &[i8], stride: usize, to: &mut [i8], pairs: usize) {
                let start = x.as_ptr();
                let starts = [start, start.wrapping_add(stride)];
                if self.out_channels <= MOST_APART {
                    let offsets = [0, self.out_channels as u16];
                    let frame = Pairs {
                        pairs,
                        x_advance: 2 * stride,
                        to_advance: 2 * self.out_channels - 4 * blocks,
                        ..Pairs::new(self, blocks, starts, to.as_mut_ptr(), offsets)
                    };
                    // SAFETY: the condition of the trait.
                    return unsafe { Loop::<$rounding>::pairs(self, &frame) };
                }
                for (p, to) in to.chunks_exact_mut(self.out_channels.max(1)).take(2 * pairs).enumerate() {
                    Loops::<$rounding>::single(self, 0, blocks, x.get(p * stride..).unwrap_or_default(), to);
                }
            }

            fn two(&self, blocks: usize, x: [&[i8]; 2], to: [&mut [i8]; 2]) {
                let [first, second] = to;
                let (a, b) = (first.as_mut_ptr(), second.as_mut_ptr());
                let begin = a.min(b);
                let offsets = [a, b].map(|to| to.addr() - begin.addr());
                if offsets.iter().all(|&offset| offset <= MOST_APART) {
                    let offsets = offsets.map(|offset| offset as u16);
                    let frame = Pairs::new(self, blocks, x.map(<[i8]>::as_ptr), begin, offsets);
                    // SAFETY: the condition of the trait.
                    return unsafe { Loop::<$rounding>::pairs(self, &frame) };
                }
                for (x, to) in x.into_iter().zip([first, second]) {
                    Loops::<$rounding>::single(self, 0, blocks, x, to);
                }
            }

            fn single(&self, first: usize, blocks: usize, x: &[i8], to: &mut [i8]) {
                let eights = blocks / 2;
                if eights > 0 {
                    // SAFETY: the condition of the trait.
                    unsafe { Loop::<$rounding>::eights(self, first, eights, x, to) }
                }
                if blocks % 2 == 1 {
                    let to = to.get_mut(8 * eights..).unwrap_or_default();
                    // SAFETY: the condition of the trait.
                    unsafe { Loop::<$rounding>::fours(self, first + 2 * eights, 1, x, to) }
                }
            }
        }
    };
}

loops!(SINGLE, "vmulh.s32", "", "");
loops!(
    DOUBLE,
    "vqrdmulh.s32",
    "vshr.s32 q2, q0, #31\nvadd.i32 q0, q0, q2",
    "vshr.s32 q3, q1, #31\nvadd.i32 q1, q1, q3"
);
loops!(DOUBLE_CLAMPED, "vqrdmulh.s32", "", "");
