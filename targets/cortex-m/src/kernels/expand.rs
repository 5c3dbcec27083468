//! Inputs as the inner loops read them: pairs of 16 bits, the same step of all positions side by side.
//!
//! A run is what a kernel row reads of an input row: neighbouring bytes. Four bytes make two steps: bytes 0 and 2, then
//! 1 and 3, as `SXTB16` gives them; the weights are packed in the same order ([`order`]). A rest of one or two bytes is
//! one step, of three bytes two, where what is missing is zero (and meets a zero weight).

use super::instructions::{sxtb16, sxtb16_ror8};

/// Steps of a run of this many bytes.
pub const fn steps(bytes: usize) -> usize {
    bytes / 4 * 2 + (bytes % 4).div_ceil(2)
}

/// The two bytes of each step of a run.
#[cfg(feature = "pack")]
pub fn order(bytes: usize) -> impl Iterator<Item = [usize; 2]> {
    (0..steps(bytes)).map(move |step| {
        let first = step / 2 * 4;
        if first + 2 == bytes { [first, first + 1] } else { [first + step % 2, first + step % 2 + 2] }
    })
}

/// Writes the run of each position; runs are equally long.
#[inline(always)]
pub fn expand<const P: usize>(to: &mut [[u32; P]], runs: [&[u8]; P])
where
    [(); P]: Words<P>,
{
    let words = runs.iter().fold(to.len() / 2, |words, run| words.min(run.len() / 4));
    if words > 0 {
        <[(); P]>::expand(to, runs, words);
    }
    let rests = runs.map(|run| run.get(4 * words..).unwrap_or_default());
    let to = to.get_mut(2 * words..).unwrap_or_default();
    match to {
        [to] => {
            for (to, rest) in to.iter_mut().zip(rests) {
                *to = match *rest {
                    [a, b] => sxtb16(u32::from(a) | u32::from(b) << 16),
                    [a, ..] => sxtb16(a.into()),
                    [] => 0,
                };
            }
        }
        [first, second] => {
            for ((first, second), rest) in first.iter_mut().zip(second).zip(rests) {
                if let [a, b, c] = *rest {
                    *first = sxtb16(u32::from(a) | u32::from(c) << 16);
                    *second = sxtb16(b.into());
                }
            }
        }
        _ => {}
    }
}

/// Writes the run of position `p` of `positions` alone: `len` bytes of `row` from `at` on, which may lie beside the row
/// (an index below zero wraps), where `padding` is.
#[inline(never)]
pub fn expand_at(to: &mut [u32], positions: usize, p: usize, row: &[u8], at: usize, len: usize, padding: u8) {
    let byte = |at: usize| row.get(at).copied().unwrap_or(padding);
    let (mut step, mut at, mut left) = (p, at, len);
    let mut put = |word| {
        if let Some(to) = to.get_mut(step) {
            *to = word;
        }
        step += positions;
    };
    while left >= 3 || left == 1 {
        let bytes = match row.get(at..).and_then(|row| row.first_chunk()) {
            Some(bytes) => *bytes,
            None => [0, 1, 2, 3].map(|i| byte(at.wrapping_add(i))),
        };
        // What is beyond a rest of one or three bytes meets zero weights.
        put(sxtb16(u32::from_le_bytes(bytes)));
        if left > 1 {
            put(sxtb16_ror8(u32::from_le_bytes(bytes)));
        }
        at = at.wrapping_add(4);
        left = left.saturating_sub(4);
    }
    if left == 2 {
        put(sxtb16(u32::from_le_bytes([byte(at), 0, byte(at.wrapping_add(1)), 0])));
    }
}

/// The loop of [`expand`]: the first `words` words of the runs, which are at least so long, as `to` is.
pub trait Words<const P: usize> {
    fn expand(to: &mut [[u32; P]], runs: [&[u8]; P], words: usize);
}

#[cfg(not(mote_dsp))]
impl<const P: usize> Words<P> for [(); P] {
    fn expand(to: &mut [[u32; P]], runs: [&[u8]; P], words: usize) {
        for (i, to) in to.as_chunks_mut::<2>().0.iter_mut().enumerate().take(words) {
            let words = runs.map(|run| u32::from_le_bytes([0, 1, 2, 3].map(|k| run[4 * i + k])));
            *to = [words.map(sxtb16), words.map(sxtb16_ror8)];
        }
    }
}

#[cfg(mote_dsp)]
mod arm {
    use super::Words;
    use core::arch::asm;

    impl Words<1> for [(); 1] {
        #[inline(always)]
        fn expand(to: &mut [[u32; 1]], [run]: [&[u8]; 1], words: usize) {
            // SAFETY: the trait's conditions; `LDR` reads words at any address.
            unsafe {
                asm!(
                    "2:",
                    "ldr r0, [r3], #4",
                    "subs r12, r12, #1",
                    "sxtb16 r1, r0",
                    "sxtb16 r2, r0, ror #8",
                    "stm lr!, {{r1, r2}}",
                    "bne 2b",
                    out("r0") _, out("r1") _, out("r2") _,
                    inlateout("r3") run.as_ptr() => _,
                    inlateout("r12") words => _, inlateout("lr") to.as_mut_ptr() => _,
                    options(nostack),
                );
            }
        }
    }

    impl Words<2> for [(); 2] {
        #[inline(always)]
        fn expand(to: &mut [[u32; 2]], [run_a, run_b]: [&[u8]; 2], words: usize) {
            // SAFETY: as above.
            unsafe {
                asm!(
                    "2:",
                    "ldr r2, [r4], #4",
                    "ldr r3, [r5], #4",
                    "subs r12, r12, #1",
                    "sxtb16 r0, r2",
                    "sxtb16 r1, r3",
                    "sxtb16 r2, r2, ror #8",
                    "sxtb16 r3, r3, ror #8",
                    "stm lr!, {{r0, r1, r2, r3}}",
                    "bne 2b",
                    out("r0") _, out("r1") _, out("r2") _, out("r3") _,
                    inlateout("r4") run_a.as_ptr() => _, inlateout("r5") run_b.as_ptr() => _,
                    inlateout("r12") words => _, inlateout("lr") to.as_mut_ptr() => _,
                    options(nostack),
                );
            }
        }
    }
}

#[cfg(all(test, feature = "pack"))]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn every_byte_is_where_the_order_says() {
        for bytes in 0..23usize {
            let run = |p: u8| (0..bytes as u8).map(move |i| (i * 11 + p * 50).wrapping_sub(100));
            let runs = [0, 1].map(|p| run(p).collect::<vec::Vec<u8>>());
            let mut to = vec![[0x5a5a5a5au32; 2]; steps(bytes)];
            expand(&mut to, [&runs[0], &runs[1]]);
            let mut seen = vec![0; bytes];
            for (words, order) in to.iter().zip(order(bytes)) {
                for (word, run) in words.iter().zip(&runs) {
                    let byte = |i: usize| run.get(i).map_or(0, |&b| i16::from(b as i8)) as u16;
                    assert_eq!([*word as u16, (word >> 16) as u16], order.map(byte), "{bytes}");
                }
                order.into_iter().filter(|&i| i < bytes).for_each(|i| seen[i] += 1);
            }
            assert_eq!(seen, vec![1; bytes]);
        }
    }
}
