//! Columns of three rows, row beside row.

use mote_runtime::engine::Mismatch;

use super::{COLUMN, LANES};

/// What goes into a strip.
pub struct Strip<'a> {
    /// The first column that is not padding, in each row.
    pub sources: [&'a [i8]; 3],
    /// From column to column.
    pub advance: [usize; 3],
    /// Columns of padding, columns of the sources, columns of padding.
    pub counts: [usize; 3],
    /// Channels.
    pub lanes: usize,
}

/// Fills a strip: for each column 16 times four bytes, of the three rows and one that does not matter.
#[inline(always)]
pub fn fill(to: &mut [i8], strip: &Strip<'_>, padding: i8) -> Result<(), Mismatch> {
    let [left, columns, right] = strip.counts;
    let there = strip
        .sources
        .iter()
        .zip(strip.advance)
        .all(|(source, advance)| columns == 0 || source.len() >= (columns - 1) * advance + strip.lanes);
    if !there || to.len() < (left + columns + right) * COLUMN || strip.lanes > LANES {
        return Err(Mismatch);
    }
    fill_checked(to, strip, padding);
    Ok(())
}

#[cfg(mote_mve)]
#[inline(never)]
fn fill_checked(to: &mut [i8], strip: &Strip<'_>, padding: i8) {
    let [a, b, c] = strip.sources.map(<[i8]>::as_ptr);
    let [advance_a, advance_b, advance_c] = strip.advance;
    let [left, columns, right] = strip.counts;
    // SAFETY: `fill` has compared all lengths; loads are of `lanes` bytes only. The predicate is nobody's across a
    // function that is not inlined.
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
            in("r12") i32::from(padding),
            inlateout("lr") strip.lanes => _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _, out("d4") _, out("d5") _, out("d6") _, out("d7") _,
            out("d8") _, out("d9") _,
            options(nostack),
        );
    }
}

#[cfg(not(mote_mve))]
fn fill_checked(to: &mut [i8], strip: &Strip<'_>, padding: i8) {
    let [left, columns, _] = strip.counts;
    let total = strip.counts.iter().sum();
    for (column, to) in to.chunks_exact_mut(COLUMN).take(total).enumerate() {
        let within = column.checked_sub(left).filter(|&column| column < columns);
        for (lane, word) in to.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            for ((byte, source), advance) in word.iter_mut().zip(strip.sources).zip(strip.advance) {
                let inside = within.map(|column| column * advance + lane);
                let inside = inside.filter(|_| lane < strip.lanes).and_then(|at| source.get(at).copied());
                *byte = inside.unwrap_or(padding);
            }
        }
    }
}
