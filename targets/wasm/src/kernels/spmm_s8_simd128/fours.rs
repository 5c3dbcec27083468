//! Small weights of four neighbouring input channels: the inputs of a position stand as they are multiplied, as numbers from
//! 0 to 255 in `[four channels][positions][4]`.

use mote_runtime::engine::Mismatch;

use super::{Way, in_chunks};
use crate::vector::{I8x16, I16x8, I32x4};

/// `NARROW`: products are made in pairs.
pub(super) struct Fours<const NARROW: bool>;

impl<const NARROW: bool> Way for Fours<NARROW> {
    type Entry = [u8; 5];
    type Piece = [i8; 16];

    const RAISED: bool = true;

    #[inline(never)]
    fn turn<const EIGHTS: usize>(strips: &mut [[i8; 16]], eight: usize, pixels: [&[i8]; 8]) {
        in_chunks(strips.as_chunks_mut::<2>().0.as_chunks_mut::<EIGHTS>().0, 4, pixels, |strips, codes| {
            let [a, b, c, d, e, f, g, h] = codes.map(|codes| I8x16::load(codes).raised());
            let (low, high) = (I8x16::transposed([a, b, c, d]), I8x16::transposed([e, f, g, h]));
            for ((low, high), strip) in low.into_iter().zip(high).zip(strips) {
                if let Some([to_low, to_high]) = strip.get_mut(eight) {
                    low.store(to_low);
                    high.store(to_high);
                }
            }
        });
    }

    #[inline(always)]
    fn sums<const EIGHTS: usize>(
        strips: &[[i8; 16]],
        entries: &[[u8; 5]],
        start: i32,
    ) -> Result<[[I32x4; 2]; EIGHTS], Mismatch> {
        let (strips, _) = strips.as_chunks::<2>().0.as_chunks::<EIGHTS>();
        let ones = I16x8::ones();
        let mut sums = [[I32x4::splat(start); 2]; EIGHTS];
        let mut four = 0;
        for [step, weights @ ..] in entries {
            four += usize::from(*step);
            let weights = I8x16::repeated(&weights.map(u8::cast_signed));
            for ([low, high], [x, y]) in sums.iter_mut().zip(strips.get(four).ok_or(Mismatch)?) {
                let plus = |sums: I32x4, numbers: &[i8; 16]| match NARROW {
                    true => weights.plus_narrow_dot(I8x16::load(numbers), sums, ones),
                    false => weights.plus_dot(I8x16::load(numbers), sums),
                };
                (*low, *high) = (plus(*low, x), plus(*high, y));
            }
        }
        Ok(sums)
    }
}
