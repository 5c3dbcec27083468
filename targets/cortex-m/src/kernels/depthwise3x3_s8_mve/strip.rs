//! Columns of three rows, row beside row.

use super::{COLUMN, LANES};

/// What goes into strips.
pub struct Strip<'a> {
    /// The first column that is not padding, in each row; or, if the advance is zero, a vector of padding.
    pub sources: [&'a [i8]; 3],
    /// From column to column: all channels, or nothing.
    pub advance: [usize; 3],
    /// Columns of padding, columns of the sources, columns of padding.
    pub counts: [usize; 3],
    pub padding: i8,
}

impl Strip<'_> {
    /// Whether all of the sources is there.
    #[inline(always)]
    pub fn is_complete(&self, channels: usize) -> bool {
        let columns = self.counts[1];
        self.sources.iter().zip(self.advance).all(|(source, advance)| match advance {
            0 => source.len() >= LANES,
            _ => advance == channels && source.len() / channels >= columns,
        })
    }

    /// Bytes of a strip.
    pub fn bytes(&self) -> usize {
        self.counts.iter().sum::<usize>() * COLUMN
    }
}

/// Fills a strip with `lanes` channels from channel `first` on: for each column 16 times four bytes, of the three rows
/// and one that does not matter. The strip is complete, `to` as long as it, and the channels are there.
#[cfg(mote_mve)]
#[inline(always)]
pub fn fill(to: &mut [i8], strip: &Strip<'_>, first: usize, lanes: usize) {
    let [advance_a, advance_b, advance_c] = strip.advance;
    let start = |source: &[i8], advance| source.as_ptr().wrapping_add(if advance == 0 { 0 } else { first });
    let [a, b, c] = strip.sources;
    let (a, b, c) = (start(a, advance_a), start(b, advance_b), start(c, advance_c));
    let [left, columns, right] = strip.counts;
    // SAFETY: the caller has compared all lengths; loads are of `lanes` bytes only. The predicate is nobody's in a
    // function that has no other code with vectors.
    unsafe {
        core::arch::asm!(
            "vdup.8 q4, r12",
            "vctp.8 lr",
            "wls lr, r9, 3f",
            "2:",
            ".rept 4",
            "vstrb.8 q4, [r8], #16",
            ".endr",
            "le lr, 2b",
            "3:",
            "wls lr, r10, 5f",
            "4:",
            "vpsttt",
            "vldrbt.u8 q0, [r0]",
            "vldrbt.u8 q1, [r1]",
            "vldrbt.u8 q2, [r2]",
            "add r0, r0, r3",
            "vst40.8 {{q0, q1, q2, q3}}, [r8]",
            "add r1, r1, r4",
            "vst41.8 {{q0, q1, q2, q3}}, [r8]",
            "add r2, r2, r5",
            "vst42.8 {{q0, q1, q2, q3}}, [r8]",
            "vst43.8 {{q0, q1, q2, q3}}, [r8]!",
            "le lr, 4b",
            "5:",
            "wls lr, r11, 7f",
            "6:",
            ".rept 4",
            "vstrb.8 q4, [r8], #16",
            ".endr",
            "le lr, 6b",
            "7:",
            inlateout("r0") a => _,
            inlateout("r1") b => _,
            inlateout("r2") c => _,
            in("r3") advance_a,
            in("r4") advance_b,
            in("r5") advance_c,
            inlateout("r8") to.as_mut_ptr() => _,
            in("r9") left,
            in("r10") columns,
            in("r11") right,
            in("r12") i32::from(strip.padding),
            inlateout("lr") lanes => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _,
            options(nostack),
        );
    }
}

#[cfg(not(mote_mve))]
pub fn fill(to: &mut [i8], strip: &Strip<'_>, first: usize, lanes: usize) {
    let [left, columns, _] = strip.counts;
    let total = strip.counts.iter().sum();
    for (column, to) in to.chunks_exact_mut(COLUMN).take(total).enumerate() {
        let within = column.checked_sub(left).filter(|&column| column < columns);
        for (lane, word) in to.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            for ((byte, source), advance) in word.iter_mut().zip(strip.sources).zip(strip.advance) {
                let first = if advance == 0 { 0 } else { first };
                let inside = within.map(|column| column * advance + first + lane);
                let inside = inside.filter(|_| lane < lanes).and_then(|at| source.get(at).copied());
                *byte = inside.unwrap_or(strip.padding);
            }
        }
    }
}
