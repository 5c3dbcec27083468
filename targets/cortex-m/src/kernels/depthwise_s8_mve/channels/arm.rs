//! The same for Helium: a loop over blocks of channels, in it one over pairs of taps. `VMULLB` and `VMULLT` multiply the
//! even and the odd channels, sums of two products widen to 32 bits.

use core::arch::asm;

use mote_runtime::engine::Mismatch;

use super::{Channels, Compute};
use crate::kernels::depthwise_s8_mve::Position;
use crate::kernels::mve::stage::{DOUBLE, DOUBLE_CLAMPED, SINGLE};

impl Channels<'_> {
    /// Addresses of the position's taps, two for each pair, and how far behind them the channels lie.
    #[inline(always)]
    fn addresses(&mut self, position: &Position<'_>) -> (*const u32, usize) {
        if let Some((starts, at)) = position.column()
            && starts.len() == self.table.len()
        {
            return (starts.as_ptr().cast(), at);
        }
        self.write(position);
        (self.table.as_ptr(), 0)
    }

    /// Writes the addresses of the position's taps.
    #[inline(always)]
    fn write(&mut self, position: &Position<'_>) {
        // An empty second tap has the address of the first one.
        let single = self.table.len() / 2 == self.taps && self.taps > 1;
        let mut words = self.table.iter_mut();
        let mut last = 0;
        position.each(|start| {
            last = start.expose_provenance() as u32;
            if let Some(word) = words.next() {
                *word = last;
            }
            if single && let Some(word) = words.next() {
                *word = last;
            }
        });
        // So has that of an odd number.
        words.for_each(|word| *word = last);
    }
}

macro_rules! loops {
    ($rounding:ident, $high:literal, $($away:literal),*) => {
        impl Compute<$rounding> for Channels<'_> {
            #[inline(never)]
            fn codes(&mut self, position: &Position<'_>, to: &mut [i8]) -> Result<(), Mismatch> {
                let (table, at) = self.addresses(position);
                // SAFETY: `compute` has compared all lengths; the table holds addresses of pixels of `count` channels,
                // of which loads fetch and stores write only as many as there are. The predicate is nobody's across a
                // function that is not inlined. R6 and R7 are not used, and nothing is pushed.
                unsafe {
                    asm!(
                        ".macro mote_code q, mul, shift",
                        r"vldrw.u32 q0, [r9, \mul]",
                        concat!($high, r" \q, \q, q0"),
                        r"vldrw.u32 q1, [r9, \shift]",
                        $($away,)*
                        r"vrshl.s32 \q, \q, q1",
                        ".endm",
                        "1:",
                        "vctp.8 r12",
                        "mov r1, r0",
                        "vldrw.u32 q4, [r9]",
                        "vldrw.u32 q5, [r9, #16]",
                        "vldrw.u32 q6, [r9, #32]",
                        "vldrw.u32 q7, [r9, #48]",
                        "dls lr, r10",
                        "2:",
                        "ldrd r2, r3, [r1], #8",
                        "add r2, r4",
                        "add r3, r4",
                        "vpstt",
                        "vldrbt.u8 q0, [r2]",
                        "vldrbt.u8 q1, [r3]",
                        "vldrb.u8 q2, [r11], #16",
                        "vmullb.s8 q3, q0, q2",
                        "vmullt.s8 q0, q0, q2",
                        "vldrb.u8 q2, [r11]",
                        "vmullb.s8 q2, q1, q2",
                        "vadd.i16 q3, q3, q2",
                        "vldrb.u8 q2, [r11], #16",
                        "vmullt.s8 q1, q1, q2",
                        "vadd.i16 q0, q0, q1",
                        "vmovlb.s16 q1, q3",
                        "vadd.i32 q4, q4, q1",
                        "vmovlt.s16 q3, q3",
                        "vadd.i32 q5, q5, q3",
                        "vmovlb.s16 q1, q0",
                        "vadd.i32 q6, q6, q1",
                        "vmovlt.s16 q0, q0",
                        "vadd.i32 q7, q7, q0",
                        "le lr, 2b",
                        "mote_code q4, #64, #128",
                        "mote_code q5, #80, #144",
                        "mote_code q6, #96, #160",
                        "mote_code q7, #112, #176",
                        "vqmovnb.s32 q4, q4",
                        "vqmovnt.s32 q4, q5",
                        "vqmovnb.s32 q6, q6",
                        "vqmovnt.s32 q6, q7",
                        "vqadd.s16 q4, q4, r5",
                        "vqadd.s16 q6, q6, r5",
                        "vqmovnb.s16 q4, q4",
                        "vqmovnt.s16 q4, q6",
                        "vpst",
                        "vstrbt.8 q4, [r8], #16",
                        "add r9, r9, #192",
                        "adds r4, #16",
                        "subs r12, #16",
                        "bgt.w 1b",
                        ".purgem mote_code",
                        in("r0") table,
                        out("r1") _, out("r2") _, out("r3") _,
                        inlateout("r4") at => _,
                        in("r5") self.stage.zero_point,
                        inlateout("r8") to.as_mut_ptr() => _,
                        inlateout("r9") self.scales.as_ptr() => _,
                        in("r10") self.table.len() / 2,
                        inlateout("r11") self.weights.as_ptr() => _,
                        inlateout("r12") self.count => _,
                        out("lr") _,
                        out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _,
                        out("d7") _, out("d8") _, out("d9") _, out("d10") _, out("d11") _, out("d12") _, out("d13") _,
                        out("d14") _, out("d15") _,
                        options(nostack),
                    );
                }
                Ok(())
            }
        }
    };
}

loops!(SINGLE, "vmulh.s32",);
loops!(DOUBLE, "vqrdmulh.s32", r"vshr.s32 q0, \q, #31", r"vadd.i32 \q, \q, q0");
loops!(DOUBLE_CLAMPED, "vqrdmulh.s32",);
