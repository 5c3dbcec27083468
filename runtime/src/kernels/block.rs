//! The inner loop of float convolution and fully connected layers: a few positions times eight output channels.
//!
//! Weights are stored in blocks of [`LANES`] output channels, `[inputs][LANES]` each, the last one filled up with
//! zeros, so that one input number meets a whole vector of weights.

use super::numbers::Weight;

/// Output channels of a block.
pub const LANES: usize = 8;

/// Positions computed at once.
pub const POSITIONS: usize = 4;

/// Sums of [`POSITIONS`] positions.
pub type Block = [[f32; LANES]; POSITIONS];

/// `sums[p][lane] += inputs[p][k] * weights[k][lane]`, for all `k`.
#[inline(always)]
pub fn accumulate<W: Weight>(sums: &mut Block, inputs: [&[f32]; POSITIONS], weights: &[W]) {
    let [mut s0, mut s1, mut s2, mut s3] = *sums;
    let [i0, i1, i2, i3] = inputs;
    let (blocks, _) = weights.as_chunks::<LANES>();
    for ((((w, x0), x1), x2), x3) in blocks.iter().zip(i0).zip(i1).zip(i2).zip(i3) {
        let w = w.map(W::real);
        multiply_add(&mut s0, *x0, &w);
        multiply_add(&mut s1, *x1, &w);
        multiply_add(&mut s2, *x2, &w);
        multiply_add(&mut s3, *x3, &w);
    }
    *sums = [s0, s1, s2, s3];
}

/// [`accumulate`] for a single position.
#[inline(always)]
pub fn accumulate_one<W: Weight>(sums: &mut [f32; LANES], input: &[f32], weights: &[W]) {
    let mut s = *sums;
    let (blocks, _) = weights.as_chunks::<LANES>();
    for (w, x) in blocks.iter().zip(input) {
        multiply_add(&mut s, *x, &w.map(W::real));
    }
    *sums = s;
}

#[inline(always)]
fn multiply_add(sums: &mut [f32; LANES], x: f32, weights: &[f32; LANES]) {
    for (sum, w) in sums.iter_mut().zip(weights) {
        *sum += x * w;
    }
}

/// The first sums of a block: the bias of up to [`LANES`] channels.
#[inline(always)]
pub fn start(bias: &[f32]) -> [f32; LANES] {
    let mut sums = [0.0; LANES];
    for (sum, b) in sums.iter_mut().zip(bias) {
        *sum = *b;
    }
    sums
}

/// Blocks that hold `channels` output channels.
pub const fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// Blocks of weights from rows of `inputs` weights per output channel, zeros in unused lanes.
#[cfg(feature = "pack")]
pub fn pack(weights: &[f32], channels: usize, inputs: usize) -> alloc::vec::Vec<f32> {
    let mut packed = alloc::vec::Vec::with_capacity(blocks(channels) * LANES * inputs);
    for block in 0..blocks(channels) {
        for k in 0..inputs {
            for lane in 0..LANES {
                let channel = block * LANES + lane;
                packed.push(if channel < channels { weights[channel * inputs + k] } else { 0.0 });
            }
        }
    }
    packed
}
