//! Copies of runs of bytes.

use mote_runtime::engine::Mismatch;

/// Copies two runs of `run` bytes: `from[..]` and `from[distance ..]` to `to[..]` and `to[to_distance ..]`.
#[inline(always)]
pub fn two_runs(
    from: &[i8],
    distance: usize,
    run: usize,
    to: &mut [i8],
    to_distance: usize,
) -> Result<(), Mismatch> {
    let reads = distance.checked_add(run).ok_or(Mismatch)?;
    let writes = to_distance.checked_add(run).ok_or(Mismatch)?;
    if from.len() < reads || to.len() < writes {
        return Err(Mismatch);
    }
    copy(from, distance, run, to, to_distance);
    Ok(())
}

#[cfg(mote_mve)]
#[inline(always)]
fn copy(from: &[i8], distance: usize, run: usize, to: &mut [i8], to_distance: usize) {
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    // SAFETY: the caller has compared both slices' lengths with what is read and written; the loop's last turn moves
    // only the bytes that are left.
    unsafe {
        core::arch::asm!(
            "wlstp.8 lr, {run}, 3f",
            "2:",
            "vldrb.u8 q0, [{a}], #16",
            "vldrb.u8 q1, [{b}], #16",
            "vstrb.8 q0, [{c}], #16",
            "vstrb.8 q1, [{d}], #16",
            "letp lr, 2b",
            "3:",
            run = in(reg) run,
            a = inlateout(reg) from => _,
            b = inlateout(reg) from.wrapping_add(distance) => _,
            c = inlateout(reg) to => _,
            d = inlateout(reg) to.wrapping_add(to_distance) => _,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}

#[cfg(not(mote_mve))]
fn copy(from: &[i8], distance: usize, run: usize, to: &mut [i8], to_distance: usize) {
    for (distance, to_distance) in [(0, 0), (distance, to_distance)] {
        let from = from.iter().skip(distance).take(run);
        to.iter_mut().skip(to_distance).zip(from).for_each(|(to, from)| *to = *from);
    }
}
