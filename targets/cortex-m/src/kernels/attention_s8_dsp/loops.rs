//! The inner loops for the DSP extension, and what they compute.

use super::Loops;

/// Elements by words of four.
pub struct Words;

/// What all loops compute.
#[cfg_attr(mote_dsp, allow(dead_code))]
pub mod plain {
    pub fn scores(query: &[i8], zero: i32, keys: &[i8], distance: usize, scores: &mut [i32]) {
        for (j, score) in scores.iter_mut().enumerate() {
            let key = keys.get(j * distance..).unwrap_or_default();
            *score = query.iter().zip(key).fold(0i32, |sum, (&q, &k)| {
                sum.wrapping_add(i32::from(q).wrapping_sub(zero).wrapping_mul(k.into()))
            });
        }
    }

    pub fn weigh(weights: &[i32], values: &[i8], distance: usize, sums: &mut [i32]) {
        for (j, &weight) in weights.iter().enumerate() {
            let value = values.get(j * distance..).unwrap_or_default();
            for (sum, &x) in sums.iter_mut().zip(value) {
                *sum = sum.wrapping_add(weight.wrapping_mul(x.into()));
            }
        }
    }
}

#[cfg(not(mote_dsp))]
impl Loops for Words {
    fn scores(query: &[i8], zero: i32, keys: &[i8], distance: usize, scores: &mut [i32]) {
        plain::scores(query, zero, keys, distance, scores);
    }

    fn weigh(weights: &[i32], values: &[i8], distance: usize, sums: &mut [i32]) {
        plain::weigh(weights, values, distance, sums);
    }
}

/// Whether the loops find `n` vectors of `depth` elements.
#[cfg(mote_dsp)]
pub fn complete(depth: usize, vectors: &[i8], distance: usize, n: usize) -> bool {
    n > 0 && depth > 0 && vectors.len() >= (n - 1) * distance + depth
}

#[cfg(mote_dsp)]
impl Loops for Words {
    #[inline(never)]
    fn scores(query: &[i8], zero: i32, keys: &[i8], distance: usize, scores: &mut [i32]) {
        let bytes = query.len();
        if !bytes.is_multiple_of(4) || !complete(bytes, keys, distance, scores.len()) {
            return;
        }
        // SAFETY: all keys are there, and elements come in fours. `LDR` reads words at any address. R6 is given back.
        unsafe {
            core::arch::asm!(
                "push {{r6}}",
                "mov r6, lr",
                "2:",
                "mov r10, #0",
                "3:",
                "ldr r11, [r0], #4",
                "ldr r12, [r1], #4",
                "cmp r0, r8",
                "sxtab16 r9, r3, r11",
                "sxtb16 lr, r12",
                "sxtab16 r11, r3, r11, ror #8",
                "sxtb16 r12, r12, ror #8",
                "smlad r10, r9, lr, r10",
                "smlad r10, r11, r12, r10",
                "bne 3b",
                "str r10, [r5], #4",
                "sub r0, r0, r4",
                "add r1, r1, r2",
                "cmp r5, r6",
                "bne 2b",
                "pop {{r6}}",
                inlateout("r0") query.as_ptr() => _,
                inlateout("r1") keys.as_ptr() => _,
                in("r2") distance.wrapping_sub(bytes),
                in("r3") u32::from(-zero as i16 as u16) * 0x1_0001,
                in("r4") bytes,
                inlateout("r5") scores.as_mut_ptr() => _,
                in("r8") query.as_ptr_range().end,
                out("r9") _, out("r10") _, out("r11") _, out("r12") _,
                inlateout("lr") scores.as_ptr_range().end => _,
            );
        }
    }

    #[inline(never)]
    fn weigh(weights: &[i32], values: &[i8], distance: usize, sums: &mut [i32]) {
        if !sums.len().is_multiple_of(4) || !complete(sums.len(), values, distance, weights.len()) {
            return;
        }
        // SAFETY: all values are there, and elements come in fours. `LDR` reads words at any address. R6, R7 and the stack
        // pointer are given back.
        unsafe {
            core::arch::asm!(
                "push {{r5, r6, r7}}",
                "2:",
                "ldm r0, {{r8, r9, r10, r11}}",
                "mov r12, r1",
                "mov lr, r2",
                "add r2, r2, #4",
                "3:",
                "ldr r5, [r12], #4",
                "ldr r6, [lr]",
                "add lr, lr, r3",
                "cmp r12, r4",
                "sxtb r7, r6",
                "mla r8, r5, r7, r8",
                "sxtb r7, r6, ror #8",
                "mla r9, r5, r7, r9",
                "sxtb r7, r6, ror #16",
                "asr r6, r6, #24",
                "mla r10, r5, r7, r10",
                "mla r11, r5, r6, r11",
                "bne 3b",
                "ldr r5, [sp]",
                "stm r0!, {{r8, r9, r10, r11}}",
                "cmp r0, r5",
                "bne 2b",
                "pop {{r5, r6, r7}}",
                inlateout("r0") sums.as_mut_ptr() => _,
                in("r1") weights.as_ptr(),
                inlateout("r2") values.as_ptr() => _,
                in("r3") distance,
                in("r4") weights.as_ptr_range().end,
                inlateout("r5") sums.as_ptr_range().end => _,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _, out("r12") _, out("lr") _,
            );
        }
    }
}
