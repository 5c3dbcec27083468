//! Single weights, two at a time: `i32x4.dot_i16x8_s` multiplies pairs, so the inputs of two channels, which stand widened as
//! `[input channel][positions]`, are zipped as they are loaded.

use mote_runtime::engine::Mismatch;

use super::{Way, in_chunks};
use crate::vector::{I16x8, I32x4};

pub(super) struct Singles;

impl Way for Singles {
    type Entry = [[u8; 2]; 2];
    type Piece = [i16; 8];

    const RAISED: bool = false;

    #[inline(never)]
    fn turn<const EIGHTS: usize>(strips: &mut [[i16; 8]], eight: usize, pixels: [&[i8]; 8]) {
        in_chunks(strips.as_chunks_mut::<EIGHTS>().0, 8, pixels, |strips, codes| {
            let rows = I16x8::turned(codes.map(I16x8::widened));
            for (row, strip) in rows.into_iter().zip(strips) {
                strip.get_mut(eight).into_iter().for_each(|to| row.store(to));
            }
        });
    }

    #[inline(always)]
    fn sums<const EIGHTS: usize>(
        strips: &[[i16; 8]],
        entries: &[[[u8; 2]; 2]],
        start: i32,
    ) -> Result<[[I32x4; 2]; EIGHTS], Mismatch> {
        let (strips, _) = strips.as_chunks::<EIGHTS>();
        let mut sums = [[I32x4::splat(start); 2]; EIGHTS];
        let mut channel = 0;
        for entry in entries {
            let [[first, _], [second, _]] = entry;
            channel += usize::from(*first);
            let x = strips.get(channel).ok_or(Mismatch)?;
            channel += usize::from(*second);
            let y = strips.get(channel).ok_or(Mismatch)?;
            let weights = I16x8::seconds_repeated(entry);
            for (([low, high], x), y) in sums.iter_mut().zip(x).zip(y) {
                let [first, last] = I16x8::load(x).zipped(I16x8::load(y));
                *low = low.plus(first.dot(weights));
                *high = high.plus(last.dot(weights));
            }
        }
        Ok(sums)
    }
}
