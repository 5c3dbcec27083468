//! Copies of few bytes, for which a call of the library's function would cost more than the copy.

/// Copies `from` to `to`, which is as long (or as much as the shorter one holds).
#[cfg(not(target_arch = "aarch64"))]
#[inline]
pub fn copy(from: &[i8], to: &mut [i8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}

/// Copies `from` to `to`, which is as long (or as much as the shorter one holds): vectors, of which the last one may
/// overlap the one before.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub fn copy(from: &[i8], to: &mut [i8]) {
    use core::arch::aarch64::*;

    let len = from.len().min(to.len());
    let (from, to) = (from.as_ptr(), to.as_mut_ptr());
    // SAFETY: all offsets leave room for what is moved there in `len` bytes, which both slices have.
    unsafe {
        if len >= 16 {
            let mut at = 0;
            while at + 16 <= len {
                vst1q_s8(to.add(at), vld1q_s8(from.add(at)));
                at += 16;
            }
            if at < len {
                vst1q_s8(to.add(len - 16), vld1q_s8(from.add(len - 16)));
            }
        } else if len >= 8 {
            let (first, last) = (vld1_s8(from), vld1_s8(from.add(len - 8)));
            vst1_s8(to, first);
            vst1_s8(to.add(len - 8), last);
        } else if len >= 4 {
            let words = (from.cast::<u32>(), from.add(len - 4).cast::<u32>());
            let (first, last) = (words.0.read_unaligned(), words.1.read_unaligned());
            to.cast::<u32>().write_unaligned(first);
            to.add(len - 4).cast::<u32>().write_unaligned(last);
        } else {
            for at in 0..len {
                to.add(at).write(from.add(at).read());
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
        }
    }
}
