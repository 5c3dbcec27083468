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

/// Writes the run of each position.
#[inline(always)]
pub fn expand<const P: usize>(to: &mut [[u32; P]], runs: [&[u8]; P]) {
    let (pairs, rest) = to.as_chunks_mut::<2>();
    let whole = runs.map(|run| run.as_chunks::<4>());
    let len = whole.iter().fold(pairs.len(), |len, (words, _)| len.min(words.len()));
    for (i, to) in pairs.iter_mut().enumerate().take(len) {
        let mut words = [0; P];
        for (word, (run, _)) in words.iter_mut().zip(&whole) {
            *word = run.get(i).map_or(0, |&bytes| u32::from_le_bytes(bytes));
        }
        *to = [words.map(sxtb16), words.map(sxtb16_ror8)];
    }
    let left = runs.map(|run| run.get(run.len() & !3..).unwrap_or(&[]));
    let rests = pairs.get_mut(len..).unwrap_or(&mut []).as_flattened_mut().iter_mut().chain(rest);
    for (step, to) in rests.enumerate() {
        *to = left.map(|bytes| match (step, bytes) {
            (0, &[a]) => sxtb16(a.into()),
            (0, &[a, b]) => sxtb16(u32::from_le_bytes([a, 0, b, 0])),
            (_, &[a, b, c]) => {
                let word = u32::from_le_bytes([a, b, c, 0]);
                if step == 0 { sxtb16(word) } else { sxtb16_ror8(word) }
            }
            _ => 0,
        });
    }
}

/// Writes the run of position `p` alone.
#[inline(always)]
pub fn expand_at<const P: usize>(to: &mut [[u32; P]], p: usize, run: &[u8]) {
    let mut steps = to.iter_mut().filter_map(|step| step.get_mut(p));
    let mut put = |word| {
        if let Some(to) = steps.next() {
            *to = word;
        }
    };
    let (words, rest) = run.as_chunks::<4>();
    for &bytes in words {
        let word = u32::from_le_bytes(bytes);
        put(sxtb16(word));
        put(sxtb16_ror8(word));
    }
    match *rest {
        [a] => put(sxtb16(a.into())),
        [a, b] => put(sxtb16(u32::from_le_bytes([a, 0, b, 0]))),
        [a, b, c] => {
            put(sxtb16(u32::from_le_bytes([a, b, c, 0])));
            put(sxtb16(b.into()));
        }
        _ => {}
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
            let runs = [0, 1, 2].map(|p| run(p).collect::<vec::Vec<u8>>());
            let mut to = vec![[0x5a5a5a5au32; 3]; steps(bytes)];
            expand(&mut to, [&runs[0], &runs[1], &runs[2]]);
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
