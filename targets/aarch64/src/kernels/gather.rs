//! Copies of few bytes, for which a call of the library's function would cost more than the copy.

use mote_runtime::engine::Mismatch;

/// Copies `run` bytes to every `step`-th place of `to`, `count` times, from every `distance`-th one of `from`.
#[inline(always)]
pub fn copy_each(
    from: &[i8],
    distance: usize,
    to: &mut [i8],
    step: usize,
    run: usize,
    count: usize,
) -> Result<(), Mismatch> {
    let last = count.saturating_sub(1);
    let reads = last.saturating_mul(distance).saturating_add(run);
    let writes = last.saturating_mul(step).saturating_add(run);
    if count == 0 || reads > from.len() || writes > to.len() {
        return Err(Mismatch);
    }
    runs::copy(from, distance, to, step, run, count);
    Ok(())
}

/// Fills `run` bytes at every `step`-th place of `to`, `count` times.
pub fn fill_each(code: i8, to: &mut [i8], step: usize, run: usize, count: usize) -> Result<(), Mismatch> {
    for place in 0..count {
        let to = to.get_mut(place * step..).and_then(|to| to.get_mut(..run)).ok_or(Mismatch)?;
        fill(to, code);
    }
    Ok(())
}

/// Copies `from` to `to`, which is as long (or as much as the shorter one holds).
#[inline(always)]
pub fn copy(from: &[i8], to: &mut [i8]) {
    let run = from.len().min(to.len());
    runs::copy(from, 0, to, 0, run, 1);
}

/// Fills all of `to`.
#[inline(always)]
pub fn fill(to: &mut [i8], code: i8) {
    runs::fill(to, code);
}

#[cfg(not(target_arch = "aarch64"))]
mod runs {
    pub fn copy(from: &[i8], distance: usize, to: &mut [i8], step: usize, run: usize, count: usize) {
        for place in 0..count {
            let from = from.get(place * distance..).unwrap_or_default().iter().take(run);
            let to = to.get_mut(place * step..).unwrap_or_default();
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }

    pub fn fill(to: &mut [i8], code: i8) {
        to.fill(code);
    }
}

/// Whole vectors, of which the last one may overlap the one before.
#[cfg(target_arch = "aarch64")]
mod runs {
    use core::arch::aarch64::*;

    /// The caller has compared lengths.
    #[inline(always)]
    pub fn copy(from: &[i8], distance: usize, to: &mut [i8], step: usize, run: usize, count: usize) {
        let (mut from, mut to) = (from.as_ptr(), to.as_mut_ptr());
        macro_rules! each {
            ($copy:expr) => {
                for _ in 0..count {
                    // SAFETY: `run` bytes are there at each place, and what is copied lies in them.
                    unsafe { $copy(from, to) };
                    from = from.wrapping_add(distance);
                    to = to.wrapping_add(step);
                }
            };
        }
        match run {
            16.. => each!(|from: *const i8, to: *mut i8| {
                let mut at = 0;
                while at + 16 <= run {
                    vst1q_s8(to.add(at), vld1q_s8(from.add(at)));
                    at += 16;
                }
                if at < run {
                    vst1q_s8(to.add(run - 16), vld1q_s8(from.add(run - 16)));
                }
            }),
            8..16 => each!(|from: *const i8, to: *mut i8| {
                let (first, last) = (vld1_s8(from), vld1_s8(from.add(run - 8)));
                vst1_s8(to, first);
                vst1_s8(to.add(run - 8), last);
            }),
            4..8 => each!(|from: *const i8, to: *mut i8| {
                let (first, last) = (from.cast::<u32>(), from.add(run - 4).cast::<u32>());
                let (first, last) = (first.read_unaligned(), last.read_unaligned());
                to.cast::<u32>().write_unaligned(first);
                to.add(run - 4).cast::<u32>().write_unaligned(last);
            }),
            _ => each!(|from: *const i8, to: *mut i8| {
                for at in 0..run {
                    to.add(at).write(from.add(at).read());
                }
            }),
        }
    }

    #[inline(always)]
    pub fn fill(to: &mut [i8], code: i8) {
        let (run, to) = (to.len(), to.as_mut_ptr());
        // SAFETY: what is written lies in the `run` bytes of the slice.
        unsafe {
            let codes = vdupq_n_s8(code);
            if run >= 16 {
                let mut at = 0;
                while at + 16 <= run {
                    vst1q_s8(to.add(at), codes);
                    at += 16;
                }
                vst1q_s8(to.add(run - 16), codes);
            } else if run >= 8 {
                vst1_s8(to, vget_low_s8(codes));
                vst1_s8(to.add(run - 8), vget_low_s8(codes));
            } else {
                for at in 0..run {
                    to.add(at).write(code);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_all_and_nothing_else() {
        let from: [i8; 67] = core::array::from_fn(|i| i as i8 + 1);
        for len in 0..=67 {
            let mut to = [0; 67];
            copy(&from[..len], &mut to[..len]);
            assert_eq!(to[..len], from[..len]);
            assert!(to[len..].iter().all(|byte| *byte == 0), "{len}");
            fill(&mut to[..len], -9);
            assert!(to[..len].iter().all(|byte| *byte == -9), "{len}");
            assert!(to[len..].iter().all(|byte| *byte == 0), "{len}");
        }
    }

    #[test]
    fn copies_runs_to_their_places() {
        let from: [i8; 80] = core::array::from_fn(|i| i as i8 + 1);
        for (run, distance, step) in [(1, 1, 4), (3, 2, 3), (5, 3, 8), (9, 6, 20), (16, 5, 24), (21, 16, 24)]
        {
            let mut to = [0; 80];
            assert_eq!(copy_each(&from, distance, &mut to, step, run, 3), Ok(()));
            for (at, code) in to.iter().enumerate() {
                let (place, offset) = (at / step, at % step);
                let want = if place < 3 && offset < run { from[place * distance + offset] } else { 0 };
                assert_eq!(*code, want, "{run} {distance} {step} {at}");
            }
        }
        assert_eq!(copy_each(&from, 30, &mut [0; 80], 24, 21, 3), Err(Mismatch), "beside the source");
        assert_eq!(copy_each(&from, 16, &mut [0; 60], 24, 21, 3), Err(Mismatch), "beside the places");
    }
}
