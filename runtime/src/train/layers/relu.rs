//! `y = max(x, 0)`, in place. What went through is a bit an element.

/// Bytes of the bits.
pub const fn mask(len: usize) -> usize {
    len.div_ceil(8)
}

/// Clears what is below zero; notes what is not cleared, where `mask` has room for it. A NaN stays one.
pub fn forward(values: &mut [f32], mask: &mut [u8]) {
    for value in values.iter_mut() {
        if *value <= 0.0 {
            *value = 0.0;
        }
    }
    for (values, bits) in values.chunks(8).zip(mask) {
        *bits = values.iter().enumerate().fold(0, |bits, (i, value)| bits | u8::from(*value != 0.0) << i);
    }
}

/// Clears the gradients of what was cleared.
pub fn gradient(slopes: &mut [f32], mask: &[u8]) {
    for (slopes, bits) in slopes.chunks_mut(8).zip(mask) {
        for (i, slope) in slopes.iter_mut().enumerate() {
            if bits >> i & 1 == 0 {
                *slope = 0.0;
            }
        }
    }
}
