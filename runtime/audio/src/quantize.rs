//! A frame as a network's int8 input.

/// What becomes of the part behind the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Rounding {
    /// `round_half_even(x / scale) + zero_point`: what quantization means in most tools.
    Nearest,
    /// `trunc(x / scale + zero_point)`: a cast to an integer, as the MLPerf Tiny streaming wakeword does it.
    TowardsZero,
}

/// Quantizes `frame` to `out`, saturated; as many values as the shorter one has.
pub fn quantize(frame: &[f32], scale: f32, zero_point: i8, rounding: Rounding, out: &mut [i8]) {
    for (q, &x) in out.iter_mut().zip(frame) {
        let value = match rounding {
            Rounding::Nearest => libm::rintf(x / scale) + f32::from(zero_point),
            Rounding::TowardsZero => x / scale + f32::from(zero_point),
        };
        // A cast truncates, saturates and makes 0 of a value that is not a number.
        *q = value as i8;
    }
}

#[cfg(test)]
mod tests {
    use super::{Rounding, quantize};

    #[test]
    fn rounds_and_saturates() {
        let mut out = [0; 6];
        let frame = [0.0, 0.249, 0.25, 0.75, 100.0, -100.0];
        quantize(&frame, 0.5, -3, Rounding::Nearest, &mut out);
        assert_eq!(out, [-3, -3, -3, -1, 127, -128]);
        quantize(&frame, 0.5, -3, Rounding::TowardsZero, &mut out);
        assert_eq!(out, [-3, -2, -2, -1, 127, -128]);
    }
}
