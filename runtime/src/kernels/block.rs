//! The inner loop of float convolution and fully connected layers: a few positions times eight output channels.
//!
//! Weights are stored in blocks of [`LANES`] output channels, `[inputs][LANES]` each, the last one filled up with
//! zeros, so that one input number meets a whole vector of weights.

pub use super::lanes::LANES;
use super::lanes::Lanes;
use super::numbers::Weight;

/// Positions computed at once.
pub const POSITIONS: usize = 4;

/// Sums of [`POSITIONS`] positions.
pub type Block = [[f32; LANES]; POSITIONS];

/// `sums[p][lane] += inputs[p][k] * weights[k][lane]`, for all `k`.
#[inline(always)]
pub fn accumulate<W: Weight>(sums: &mut Block, inputs: [&[f32]; POSITIONS], weights: &[W]) {
    let [mut s0, mut s1, mut s2, mut s3] = sums.each_ref().map(Lanes::of);
    let [i0, i1, i2, i3] = inputs;
    let (blocks, _) = weights.as_chunks::<LANES>();
    for ((((w, x0), x1), x2), x3) in blocks.iter().zip(i0).zip(i1).zip(i2).zip(i3) {
        let w = weights_of(w);
        s0.multiply_add(*x0, &w);
        s1.multiply_add(*x1, &w);
        s2.multiply_add(*x2, &w);
        s3.multiply_add(*x3, &w);
    }
    *sums = [s0, s1, s2, s3].map(Lanes::numbers);
}

/// [`accumulate`] for a single position.
#[inline(always)]
pub fn accumulate_one<W: Weight>(sums: &mut [f32; LANES], input: &[f32], weights: &[W]) {
    let mut s = Lanes::of(sums);
    let (blocks, _) = weights.as_chunks::<LANES>();
    for (w, x) in blocks.iter().zip(input) {
        s.multiply_add(*x, &weights_of(w));
    }
    *sums = s.numbers();
}

/// Up to [`GROUP`] blocks of weights that meet the same inputs: more sums that do not wait for each other than one block
/// has, where there is a single position.
pub struct Group<'w, W> {
    weights: [&'w [W]; GROUP],
    blocks: usize,
}

/// Blocks of a [`Group`].
pub const GROUP: usize = 4;

impl<'w, W: Weight> Group<'w, W> {
    /// The blocks that stand one behind the other in `weights`, of `inputs` inputs each.
    #[inline]
    pub fn new(weights: &'w [W], inputs: usize) -> Self {
        let mut blocks = weights.chunks_exact((inputs * LANES).max(1));
        let count = blocks.len().min(GROUP);
        Self { weights: [(); GROUP].map(|()| blocks.next().unwrap_or(&[])), blocks: count }
    }

    /// The first sums: the bias of the blocks' channels.
    #[inline(always)]
    pub fn start(bias: &[f32]) -> [[f32; LANES]; GROUP] {
        let mut sums = [[0.0; LANES]; GROUP];
        sums.as_flattened_mut().iter_mut().zip(bias).for_each(|(sum, bias)| *sum = *bias);
        sums
    }

    /// `sums[block][lane] += input[k] * weights[block][first + k][lane]`, for all `k`; `None` beyond the last input.
    #[inline(always)]
    pub fn accumulate(&self, sums: &mut [[f32; LANES]; GROUP], input: &[f32], first: usize) -> Option<()> {
        let [s0, s1, s2, s3] = sums;
        let range = first * LANES..(first + input.len()) * LANES;
        let of = |block: usize| self.weights.get(block)?.get(range.clone());
        if self.blocks >= 4 {
            four([s0, s1, s2, s3], input, [of(0)?, of(1)?, of(2)?, of(3)?]);
            return Some(());
        }
        if self.blocks >= 2 {
            two([s0, s1], input, [of(0)?, of(1)?]);
        }
        match self.blocks {
            1 => accumulate_one(s0, input, of(0)?),
            3 => accumulate_one(s2, input, of(2)?),
            _ => {}
        }
        Some(())
    }
}

#[inline(always)]
fn two<W: Weight>(sums: [&mut [f32; LANES]; 2], input: &[f32], weights: [&[W]; 2]) {
    let [t0, t1] = sums;
    let [mut s0, mut s1] = [Lanes::of(t0), Lanes::of(t1)];
    let [(w0, _), (w1, _)] = weights.map(<[W]>::as_chunks::<LANES>);
    for ((w0, w1), x) in w0.iter().zip(w1).zip(input) {
        s0.multiply_add(*x, &weights_of(w0));
        s1.multiply_add(*x, &weights_of(w1));
    }
    [*t0, *t1] = [s0, s1].map(Lanes::numbers);
}

#[inline(always)]
fn four<W: Weight>(sums: [&mut [f32; LANES]; 4], input: &[f32], weights: [&[W]; 4]) {
    let [t0, t1, t2, t3] = sums;
    let [mut s0, mut s1, mut s2, mut s3] = [Lanes::of(t0), Lanes::of(t1), Lanes::of(t2), Lanes::of(t3)];
    let [(w0, _), (w1, _), (w2, _), (w3, _)] = weights.map(<[W]>::as_chunks::<LANES>);
    for ((((w0, w1), w2), w3), x) in w0.iter().zip(w1).zip(w2).zip(w3).zip(input) {
        s0.multiply_add(*x, &weights_of(w0));
        s1.multiply_add(*x, &weights_of(w1));
        s2.multiply_add(*x, &weights_of(w2));
        s3.multiply_add(*x, &weights_of(w3));
    }
    [*t0, *t1, *t2, *t3] = [s0, s1, s2, s3].map(Lanes::numbers);
}

#[inline(always)]
fn weights_of<W: Weight>(weights: &[W; LANES]) -> Lanes {
    Lanes::of(&weights.map(W::real))
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
