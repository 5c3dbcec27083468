//! Products of positions with blocks of eight output channels, in floats: the inner loop of convolutions.
//!
//! Weights are in the blocks of the portable kernels, `[inputs][8 channels]`; those in half precision become floats once for all
//! positions that meet the block. Inputs of four positions are put side by side,
//! `[inputs][4 positions]`, so that the loop has two pointers; its eight sums are as many as stay in registers beside what
//! they need.

use mote_runtime::engine::Mismatch;
use mote_runtime::kernels::numbers::Weight;

use super::gemm::GROUP;
use crate::vector::{F32x4, Tile};

/// An input of each position of a group.
pub type Inputs = [f32; GROUP];

/// Weights of an input.
pub type Weights = [[f32; 4]; 2];

/// Weights of an input as they are stored.
pub trait Stored: bytemuck::Pod {
    /// Whether [`Stored::read`] needs room.
    const NEEDS_ROOM: bool;

    /// The weights of a block; in `room` if they are stored otherwise, which then holds as many.
    fn read<'w>(block: &'w [Self], room: &'w mut [Weights]) -> &'w [Weights];
}

impl Stored for Weights {
    const NEEDS_ROOM: bool = false;

    #[inline(always)]
    fn read<'w>(block: &'w [Self], _: &'w mut [Weights]) -> &'w [Weights] {
        block
    }
}

/// Weights of an input in half precision.
pub type Halves = [[half::f16; 4]; 2];

impl Stored for Halves {
    const NEEDS_ROOM: bool = true;

    #[inline(always)]
    fn read<'w>(block: &'w [Self], room: &'w mut [Weights]) -> &'w [Weights] {
        let halves = block.as_flattened().as_flattened();
        let reals = room.as_flattened_mut().as_flattened_mut();
        reals.iter_mut().zip(halves).for_each(|(real, half)| *real = half.real());
        room
    }
}

/// Inputs that are put side by side at a time.
const STEP: usize = 4;

/// [`Inputs`] of a group's memory.
pub const fn memory(inputs: usize) -> usize {
    inputs.next_multiple_of(STEP)
}

/// A layer without its geometry.
pub struct Layer<'a, W> {
    pub weights: &'a [W],
    pub bias: &'a [f32],
    pub inputs: usize,
    pub min: F32x4,
    pub max: F32x4,
}

impl<W: Stored> Layer<'_, W> {
    /// Computes the positions of `to` from as many groups as it needs, with all blocks; the last group may be a part.
    #[inline(always)]
    pub fn positions(&self, groups: &[Inputs], room: &mut [Weights], to: &mut [f32]) -> Result<(), Mismatch> {
        let channels = self.bias.len();
        let blocks = self.bias.chunks(8).zip(self.weights.chunks_exact(self.inputs.max(1)));
        for (b, (bias, weights)) in blocks.enumerate() {
            let (first, weights, start) = (8 * b, W::read(weights, room), start(bias));
            let mut groups = groups.chunks_exact(memory(self.inputs).max(1));
            let mut of_groups = to.chunks_mut((GROUP * channels).max(1));
            // No `zip`, which makes indices and reckons with them where these go on by a step.
            while let (Some(group), Some(to)) = (groups.next(), of_groups.next()) {
                let sums = four(group, weights, start);
                if let Some(rows) = Tile::<_, GROUP>::new(to, channels, first) {
                    // No loop: sums would go through memory.
                    let ([s0, s1, s2, s3], [t0, t1, t2, t3]) = (sums, rows.rows());
                    self.limited(s0, t0);
                    self.limited(s1, t1);
                    self.limited(s2, t2);
                    self.limited(s3, t3);
                    continue;
                }
                for (sums, to) in sums.into_iter().zip(to.chunks_exact_mut(channels.max(1))) {
                    let sums = sums.map(|sums| sums.limited(self.min, self.max));
                    store(sums, to.get_mut(first..first + bias.len()).ok_or(Mismatch)?);
                }
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn limited(&self, [low, high]: [F32x4; 2], to: &mut [f32; 8]) {
        if let ([to_low, to_high], []) = to.as_chunks_mut::<4>() {
            low.limited(self.min, self.max).store(to_low);
            high.limited(self.min, self.max).store(to_high);
        }
    }
}

/// The first sums of a block.
#[inline(always)]
fn start(bias: &[f32]) -> [F32x4; 2] {
    let mut eight = [[0.0; 4]; 2];
    eight.as_flattened_mut().iter_mut().zip(bias).for_each(|(to, from)| *to = *from);
    eight.each_ref().map(F32x4::load)
}

#[inline(always)]
fn store([low, high]: [F32x4; 2], to: &mut [f32]) {
    if let Some((to_low, rest)) = to.split_first_chunk_mut::<4>()
        && let Some(to_high) = rest.first_chunk_mut::<4>()
    {
        low.store(to_low);
        high.store(to_high);
        return;
    }
    let mut eight = [[0.0; 4]; 2];
    let [to_low, to_high] = &mut eight;
    low.store(to_low);
    high.store(to_high);
    to.iter_mut().zip(eight.as_flattened()).for_each(|(to, from)| *to = *from);
}

/// The sums of a group with one block.
#[inline(always)]
fn four(group: &[Inputs], weights: &[Weights], start: [F32x4; 2]) -> [[F32x4; 2]; GROUP] {
    let [mut s0, mut s1, mut s2, mut s3] = [start; GROUP];
    for ([x0, x1, x2, x3], w) in group.iter().zip(weights) {
        let w = w.each_ref().map(F32x4::load);
        add(&mut s0, x0, w);
        add(&mut s1, x1, w);
        add(&mut s2, x2, w);
        add(&mut s3, x3, w);
    }
    [s0, s1, s2, s3]
}

#[inline(always)]
fn add([low, high]: &mut [F32x4; 2], x: &f32, w: [F32x4; 2]) {
    let x = F32x4::repeated(x);
    *low = low.plus_product(x, w[0]);
    *high = high.plus_product(x, w[1]);
}

/// Puts the inputs of four positions, which have as many, side by side.
#[inline(always)]
pub fn beside(x: [&[f32]; GROUP], group: &mut [Inputs]) {
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = x.map(<[f32]>::as_chunks::<STEP>);
    let (steps, _) = group.as_chunks_mut::<STEP>();
    let mut steps = steps.iter_mut();
    for ((((a, b), c), d), to) in a.iter().zip(b).zip(c).zip(d).zip(&mut steps) {
        let rows = F32x4::transposed([a, b, c, d].map(F32x4::load));
        rows.into_iter().zip(to).for_each(|(row, to)| row.store(to));
    }
    if let Some(to) = steps.next() {
        let rest = a_rest.iter().zip(b_rest).zip(c_rest).zip(d_rest);
        for ((((a, b), c), d), to) in rest.zip(to) {
            *to = [*a, *b, *c, *d];
        }
    }
}
