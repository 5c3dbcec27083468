//! Products of positions with blocks of eight output channels: the inner loops of convolutions and dense layers.
//!
//! Weights stay bytes and are widened where they are used. A block is `[pairs of inputs][8 channels][2 inputs]`: one
//! `i32x4.dot_i16x8_s` multiplies a pair of inputs, repeated, with four channels. Inputs are widened once for all blocks,
//! into groups of four positions, `[pairs][4 positions][2 inputs]`: eight sums in registers, as many as two loads of weights
//! and four of inputs can feed.
//!
//! Where a relaxed dot product is exact, for all weights or for small ones, the same weights are multiplied four inputs at a
//! time ([`quads`]).

pub mod quads;

use mote_runtime::engine::{Given, Mismatch};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::require;
use mote_runtime::plan::Fault;

#[cfg(feature = "pack")]
use mote_runtime::kernels::pack::{Packed, Requant};

use super::stage::{Block, Stage};
use crate::vector::{I8x16, I16x8, I32x4, Tile};

/// Weights of a pair of inputs: of four channels, of four more.
pub type Pair = [[i8; 8]; 2];

/// Positions of a group.
pub const GROUP: usize = 4;

/// A pair of inputs of each position of a group.
pub type Pairs = [i16; 2 * GROUP];

/// What the inputs of a group stand as.
#[derive(Clone, Copy, PartialEq)]
pub enum Inputs {
    /// Widened, in pairs.
    Pairs,
    /// Bytes, in fours ([`quads`]).
    Quads,
}

impl Inputs {
    /// What the engine multiplies fastest; `small`: whether the weights are [small enough](quads::fits).
    #[inline(always)]
    pub fn of(small: bool) -> Self {
        if cfg!(feature = "dot") || small && I8x16::takes_numbers() { Self::Quads } else { Self::Pairs }
    }
}

/// Pairs of inputs that are widened at a time.
const STEP: usize = 4;

/// Pairs of `inputs` inputs.
pub const fn pairs(inputs: usize) -> usize {
    inputs.div_ceil(2)
}

/// [`Pairs`] of a group's memory: [`pairs`], rounded up to what is widened at a time.
pub const fn memory(inputs: usize) -> usize {
    pairs(inputs).div_ceil(STEP) * STEP
}

/// A layer without its geometry.
pub struct Layer<'a> {
    weights: &'a [Pair],
    blocks: &'a [Block],
    pub inputs: usize,
    pub out_channels: usize,
    stage: Stage,
    /// What [`widen`] is to make of groups.
    pub group: Inputs,
    /// [`quads::together`] of all blocks, where weights are small.
    together: &'a [u32],
    /// [`I16x8::ones`].
    ones: I16x8,
}

/// `form` of layers whose weights are [small enough](quads::fits) for products of bytes.
pub const SMALL: u8 = 1;

/// Bytes of a layer's second constant.
const fn constants(inputs: usize, blocks: usize, form: u8) -> usize {
    let words = if form == SMALL { quads::words(inputs) } else { 0 };
    blocks * (size_of::<Block>() + 4 * words)
}

/// Accepts a layer's constants only if [`Layer::new`] does: 0 the weights ([`weights`]); 1 the blocks, and behind them what
/// sums of small weights stay within ([`quads::together`]).
pub const fn check(step: &StepView<'_>, inputs: u64, outputs: usize, form: u8) -> Result<(), Fault> {
    require!(form <= SMALL, Arguments);
    require!(inputs < 1 << 24, Arguments);
    let (inputs, blocks) = (inputs as usize, outputs.div_ceil(8));
    let weights = pairs(inputs) as u64 * blocks as u64 * size_of::<Pair>() as u64;
    require!(weights < 1 << 30 && step.blob_is(0, weights as usize, 1), Shape);
    require!(step.blob_is(1, constants(inputs, blocks, form), 4), Shape);
    Ok(())
}

impl<'a> Layer<'a> {
    #[inline(always)]
    pub fn new(
        given: &Given<'a>,
        inputs: usize,
        out_channels: usize,
        stage: Stage,
        form: u8,
    ) -> Result<Self, Mismatch> {
        let blocks = out_channels.div_ceil(8) * size_of::<Block>();
        let (blocks, together) = given.blob(1).split_at_checked(blocks).ok_or(Mismatch)?;
        Ok(Self {
            weights: bytemuck::try_cast_slice(given.blob(0)).map_err(|_| Mismatch)?,
            blocks: bytemuck::try_cast_slice(blocks).map_err(|_| Mismatch)?,
            inputs,
            out_channels,
            stage,
            group: Inputs::of(form == SMALL),
            together: bytemuck::try_cast_slice(together).map_err(|_| Mismatch)?,
            ones: I16x8::ones(),
        })
    }

    /// Computes the positions of `to` from as many groups as it needs, with all blocks; the last group may be a part.
    #[inline(always)]
    pub fn positions(&self, groups: &[Pairs], to: &mut [i8]) -> Result<(), Mismatch> {
        let (pairs, words) = (pairs(self.inputs), quads::words(self.inputs));
        let weights = self.weights.chunks_exact(pairs.max(1));
        for (b, (block, weights)) in self.blocks.iter().zip(weights).enumerate() {
            let first = 8 * b;
            let together = self.together.get(b * words..).unwrap_or_default();
            let mut groups = groups.chunks_exact(memory(self.inputs).max(1));
            let mut of_groups = to.chunks_mut((GROUP * self.out_channels).max(1));
            // No `zip`, which makes indices and reckons with them where these go on by a step.
            while let (Some(group), Some(to)) = (groups.next(), of_groups.next()) {
                let sums = match self.group {
                    Inputs::Quads => quads::four(group, weights, block, together, self.ones),
                    Inputs::Pairs => four(group, weights, block),
                };
                if let Some(rows) = Tile::new(to, self.out_channels, first) {
                    self.stage.tile(sums, block, rows);
                    continue;
                }
                for (sums, to) in sums.into_iter().zip(to.chunks_exact_mut(self.out_channels.max(1))) {
                    self.stage.put(sums, block, to.get_mut(first..).ok_or(Mismatch)?);
                }
            }
        }
        Ok(())
    }

    /// Computes one position, whose inputs stand side by side, with all blocks.
    #[inline(always)]
    pub fn position(&self, x: &[i16], to: &mut [i8]) -> Result<(), Mismatch> {
        let (x, _) = x.as_chunks::<2>();
        let pairs = pairs(self.inputs);
        let x = x.get(..pairs).ok_or(Mismatch)?;
        let weights = self.weights.chunks_exact(pairs.max(1));
        for ((block, weights), to) in self.blocks.iter().zip(weights).zip(to.chunks_mut(8)) {
            self.stage.put(one(x, weights, block), block, to);
        }
        Ok(())
    }
}

/// The sums of a group with one block.
#[inline(always)]
fn four(group: &[Pairs], weights: &[Pair], [first, last]: &Block) -> [[I32x4; 2]; GROUP] {
    let start = [first.start(), last.start()];
    let [mut s0, mut s1, mut s2, mut s3] = [start; GROUP];
    for (x, [low, high]) in group.iter().zip(weights) {
        let w = [I16x8::widened(low), I16x8::widened(high)];
        add(&mut s0, I16x8::pair::<0>(x), w);
        add(&mut s1, I16x8::pair::<1>(x), w);
        add(&mut s2, I16x8::pair::<2>(x), w);
        add(&mut s3, I16x8::pair::<3>(x), w);
    }
    [s0, s1, s2, s3]
}

/// The sums of one position with one block, of even and odd pairs apart, so that they wait less for each other.
#[inline(always)]
fn one(x: &[[i16; 2]], weights: &[Pair], [first, last]: &Block) -> [I32x4; 2] {
    let mut even = [first.start(), last.start()];
    let mut odd = [I32x4::splat(0); 2];
    let ((x, x_rest), (weights, w_rest)) = (x.as_chunks::<2>(), weights.as_chunks::<2>());
    for ([x0, x1], [w0, w1]) in x.iter().zip(weights) {
        add(&mut even, I16x8::repeated(x0), w0.each_ref().map(I16x8::widened));
        add(&mut odd, I16x8::repeated(x1), w1.each_ref().map(I16x8::widened));
    }
    for (x, w) in x_rest.iter().zip(w_rest) {
        add(&mut even, I16x8::repeated(x), w.each_ref().map(I16x8::widened));
    }
    let ([a, b], [c, d]) = (even, odd);
    [a.plus(c), b.plus(d)]
}

#[inline(always)]
fn add([low, high]: &mut [I32x4; 2], x: I16x8, w: [I16x8; 2]) {
    *low = low.plus(x.dot(w[0]));
    *high = high.plus(x.dot(w[1]));
}

/// Puts the inputs of four positions, which have as many, into a group.
#[inline(always)]
pub fn widen(x: [&[i8]; GROUP], inputs: Inputs, group: &mut [Pairs]) {
    if inputs == Inputs::Quads {
        return quads::beside(x, group);
    }
    let [(a, a_rest), (b, b_rest), (c, c_rest), (d, d_rest)] = x.map(<[i8]>::as_chunks::<8>);
    let (steps, _) = group.as_chunks_mut::<STEP>();
    let mut steps = steps.iter_mut();
    for ((((a, b), c), d), to) in a.iter().zip(b).zip(c).zip(d).zip(&mut steps) {
        store([a, b, c, d].map(I16x8::widened), to);
    }
    if let (false, Some(to)) = (a_rest.is_empty(), steps.next()) {
        store([a_rest, b_rest, c_rest, d_rest].map(|rest| I8x16::filled_up(rest).first_widened()), to);
    }
}

/// Widens inputs side by side; `to` is a multiple of eight long.
#[inline(always)]
pub fn widen_one(x: &[i8], to: &mut [i16]) {
    let ((x, rest), (to, _)) = (x.as_chunks::<8>(), to.as_chunks_mut::<8>());
    let mut to = to.iter_mut();
    for (x, to) in x.iter().zip(&mut to) {
        I16x8::widened(x).store(to);
    }
    if let (false, Some(to)) = (rest.is_empty(), to.next()) {
        I8x16::filled_up(rest).first_widened().store(to);
    }
}

#[inline(always)]
fn store(x: [I16x8; GROUP], to: &mut [Pairs; STEP]) {
    let rows = I16x8::transposed(x);
    rows.into_iter().zip(to).for_each(|(row, to)| row.store(to));
}

/// What is less than `N`, and zeros.
#[inline(always)]
pub fn filled_up<T: Copy + Default, const N: usize>(some: &[T]) -> [T; N] {
    let mut all = [T::default(); N];
    all.iter_mut().zip(some).for_each(|(to, from)| *to = *from);
    all
}

/// Weights `[channels][inputs]` in blocks, zeros where there is no channel or input.
#[cfg(feature = "pack")]
pub fn weights(weights: &[i8], channels: usize, inputs: usize) -> alloc::vec::Vec<i8> {
    let at = |channel: usize, input: usize| {
        if channel < channels && input < inputs { weights[channel * inputs + input] } else { 0 }
    };
    let mut packed = alloc::vec::Vec::with_capacity(channels.div_ceil(8) * pairs(inputs) * 16);
    for block in 0..channels.div_ceil(8) {
        for pair in 0..pairs(inputs) {
            packed.extend((0..16).map(|lane| at(8 * block + lane / 2, 2 * pair + lane % 2)));
        }
    }
    packed
}

/// The constants of a layer with weights `[channels][inputs]` of this [`form`]; `None` if its factors are out of reach.
#[cfg(feature = "pack")]
pub fn packed(
    packed: Packed,
    form: u8,
    (weights, channels, inputs): (&[i8], usize, usize),
    bias: &[i32],
    zero_point: i32,
    requant: &Requant,
) -> Option<Packed> {
    let blocks = super::stage::blocks(weights, bias, channels, zero_point, requant)?;
    let mut constants = bytemuck::cast_slice(&blocks).to_vec();
    if form == SMALL {
        constants.extend(quads::together(weights, inputs));
    }
    Some(packed.with_blob(&self::weights(weights, channels, inputs)).with_blob(&constants[..]))
}

/// What arguments tell of weights `[channels][inputs]`.
#[cfg(feature = "pack")]
pub fn form(weights: &[i8], inputs: usize) -> u8 {
    if quads::fits(weights, inputs) { SMALL } else { 0 }
}
