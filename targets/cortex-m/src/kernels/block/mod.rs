//! The inner loops of convolutions and fully connected layers: one or two positions times all output channels, from
//! expanded inputs to codes.
//!
//! **Inputs** come as steps: a step holds, for each position, one word with two numbers of 16 bits (`expand` makes
//! them).
//!
//! **Weights** come in blocks of four output channels, a step of which is two words: channels 0 and 1, channels 2 and
//! 3. The lower half of a word is `256 * w0 + w1` for the step's first input, the upper half for its second one, where
//! `w0` and `w1` are the weights of the two channels. So one `SMLAD` with the word as it is adds up
//! `256 * sum(x * w0) + sum(x * w1)`, and one with its even bytes (`SXTB16`) the second sum alone: three instructions
//! fetch and unpack what would take four. Channel 0 is the difference over 256, exact if it has at most 24 bits.
//!
//! **Codes** are made as `stage` tells, without the layer's own clamp. The const `ROUNDING` is one of its roundings.

use super::stage::{self, Scale};
use super::window::Runs;

/// A step of weights: four output channels, two inputs.
pub type Weights = [u32; 2];

/// What belongs to two output channels: where their two sums start, then the scale of each.
pub type Pair = [i32; 6];

/// Four output channels.
pub type Block = [Pair; 2];

/// The parts of a layer that its positions share.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// As many steps for each block as a position has.
    pub weights: &'a [Weights],
    pub blocks: &'a [Block],
    pub zero_point: i32,
}

/// A layer, its whole blocks apart from the last one if that has less than four channels.
#[derive(Clone, Copy)]
pub struct Divided<'a> {
    steps: usize,
    whole: Layer<'a>,
    rest: Option<Layer<'a>>,
}

impl<'a> Divided<'a> {
    /// For `steps` steps and `outputs` channels; `None` if the constants don't fit these.
    pub fn new(layer: &Layer<'a>, steps: usize, outputs: usize) -> Option<Self> {
        let whole = outputs / 4;
        let (blocks, rest_blocks) = layer.blocks.split_at_checked(whole)?;
        let (weights, rest_weights) = layer.weights.split_at_checked(whole.checked_mul(steps)?)?;
        let rest = Layer { weights: rest_weights, blocks: rest_blocks, ..*layer };
        let fits = steps > 0
            && (outputs.is_multiple_of(4) || rest_weights.len() >= steps && !rest_blocks.is_empty());
        let rest = (!outputs.is_multiple_of(4)).then_some(rest);
        fits.then_some(Self { steps, whole: Layer { weights, blocks, ..*layer }, rest })
    }

    /// Whether [`pairs`] serves the layer: no channels are left behind whole blocks.
    pub fn is_whole(&self) -> bool {
        self.rest.is_none()
    }
}

/// `P` positions: the output channels of position `p` go to `to[p]`. `None` if lengths differ from the layer's.
#[inline(always)]
pub fn positions<const P: usize, const ROUNDING: u8>(
    x: &[[u32; P]],
    layer: &Divided<'_>,
    mut to: [&mut [i8]; P],
) -> Option<()>
where
    [(); P]: Run<P, ROUNDING>,
{
    let channels = 4 * layer.whole.blocks.len();
    if x.len() != layer.steps || to.iter().any(|to| to.len() < channels) {
        return None;
    }
    if channels > 0 {
        <[(); P]>::run(x, &layer.whole, to.each_mut().map(|to| &mut **to));
    }
    rest(x, layer, to)
}

/// The channels behind whole blocks.
#[inline(never)]
fn rest<const P: usize, const ROUNDING: u8>(
    x: &[[u32; P]],
    layer: &Divided<'_>,
    to: [&mut [i8]; P],
) -> Option<()>
where
    [(); P]: Run<P, ROUNDING>,
{
    let channels = 4 * layer.whole.blocks.len();
    if let Some(rest) = &layer.rest {
        let mut codes = [[0; 4]; P];
        let rest = Layer { blocks: rest.blocks.get(..1)?, ..*rest };
        <[(); P]>::run(x, &rest, codes.each_mut().map(|codes| &mut codes[..]));
        for (to, codes) in to.into_iter().zip(codes) {
            to.iter_mut().skip(channels).zip(codes).for_each(|(to, code)| *to = code);
        }
    }
    Some(())
}

/// Neighbouring positions whose runs lie in the rows as they are, two at a time: `to` holds `outputs` codes for each.
/// `None` if lengths differ from the layer's.
#[inline(always)]
pub fn pairs<const ROUNDING: u8>(
    runs: &Runs<'_>,
    x: &mut [[u32; 2]],
    layer: &Divided<'_>,
    to: &mut [i8],
    outputs: usize,
) -> Option<()>
where
    (): Pairs<ROUNDING>,
{
    let fits = x.len() == layer.steps && runs.steps() == layer.steps && layer.rest.is_none();
    if !fits
        || outputs != 4 * layer.whole.blocks.len()
        || to.is_empty()
        || !to.len().is_multiple_of(2 * outputs)
    {
        return None;
    }
    <()>::pairs(runs, x, &layer.whole, to, outputs);
    Some(())
}

/// The loop of [`pairs`]: expands the runs of two positions to `x`, then does what [`Run`] does. There are at least one
/// pair and one block, and runs for as many positions as `to` has `channels` codes for.
pub trait Pairs<const ROUNDING: u8> {
    fn pairs(runs: &Runs<'_>, x: &mut [[u32; 2]], layer: &Layer<'_>, to: &mut [i8], channels: usize);
}

/// The inner loop for `P` positions. `weights` holds at least as many steps as blocks times `x.len()`, each of `to` at
/// least four channels a block, and there is at least one block.
pub trait Run<const P: usize, const ROUNDING: u8> {
    fn run(x: &[[u32; P]], layer: &Layer<'_>, to: [&mut [i8]; P]);
}

/// The loop of [`dense`], with the conditions of [`Run`]; two steps of weights for each four bytes of `x`.
pub trait Dense<const ROUNDING: u8> {
    fn dense(x: &[[u8; 4]], layer: &Layer<'_>, to: &mut [i8]);
}

/// One position whose inputs are not expanded, since each weight is used once: every four bytes of `x` make two steps.
/// `None` if lengths differ from the layer's.
#[inline(always)]
pub fn dense<const ROUNDING: u8>(x: &[[u8; 4]], layer: &Divided<'_>, to: &mut [i8]) -> Option<()>
where
    (): Dense<ROUNDING>,
{
    let channels = 4 * layer.whole.blocks.len();
    if 2 * x.len() != layer.steps || to.len() < channels {
        return None;
    }
    if channels > 0 {
        <()>::dense(x, &layer.whole, to);
    }
    if let Some(rest) = &layer.rest {
        let mut codes = [0; 4];
        <()>::dense(x, &Layer { blocks: rest.blocks.get(..1)?, ..*rest }, &mut codes);
        to.iter_mut().skip(channels).zip(codes).for_each(|(to, code)| *to = code);
    }
    Some(())
}

/// The codes of a pair of channels from their two sums.
pub fn codes<const ROUNDING: u8>([both, second]: [i32; 2], scales: [Scale; 2], zero_point: i32) -> [i8; 2] {
    let [first_scale, second_scale] = scales;
    [
        stage::code::<ROUNDING>(both.wrapping_sub(second) >> 7, first_scale, zero_point),
        stage::code::<ROUNDING>(second << 1, second_scale, zero_point),
    ]
}

#[cfg(not(mote_dsp))]
mod plain {
    use super::{Dense, Layer, Pairs, Run, codes};
    use crate::kernels::instructions::{smlad, sxtb16, sxtb16_ror8};
    use crate::kernels::window::Runs;

    impl<const P: usize, const ROUNDING: u8> Run<P, ROUNDING> for [(); P] {
        fn run(x: &[[u32; P]], layer: &Layer<'_>, to: [&mut [i8]; P]) {
            let blocks = layer.weights.chunks_exact(x.len()).zip(layer.blocks);
            for (i, (weights, block)) in blocks.enumerate() {
                for (k, &[start, start1, m0, p0, m1, p1]) in block.iter().enumerate() {
                    let mut sums = [[start, start1]; P];
                    for (x, weights) in x.iter().zip(weights) {
                        for (x, [both, second]) in x.iter().zip(&mut sums) {
                            *both = smlad(*x, weights[k], *both);
                            *second = smlad(*x, sxtb16(weights[k]), *second);
                        }
                    }
                    for p in 0..P {
                        let codes = codes::<ROUNDING>(sums[p], [[m0, p0], [m1, p1]], layer.zero_point);
                        to[p][4 * i + 2 * k..][..2].copy_from_slice(&codes);
                    }
                }
            }
        }
    }

    impl<const ROUNDING: u8> Pairs<ROUNDING> for () {
        fn pairs(runs: &Runs<'_>, x: &mut [[u32; 2]], layer: &Layer<'_>, to: &mut [i8], channels: usize) {
            for (pair, to) in to.chunks_exact_mut(2 * channels.max(1)).enumerate() {
                if runs.expand(2 * pair, x).is_some() {
                    <[(); 2] as Run<2, ROUNDING>>::run(x, layer, to.split_at_mut(channels).into());
                }
            }
        }
    }

    impl<const ROUNDING: u8> Dense<ROUNDING> for () {
        fn dense(x: &[[u8; 4]], layer: &Layer<'_>, to: &mut [i8]) {
            for (i, (weights, block)) in layer.weights.chunks_exact(2 * x.len()).zip(layer.blocks).enumerate()
            {
                for (k, &[mut both, mut second, m0, p0, m1, p1]) in block.iter().enumerate() {
                    for (&x, weights) in x.iter().zip(weights.as_chunks::<2>().0) {
                        let word = u32::from_le_bytes(x);
                        for (x, weights) in [sxtb16(word), sxtb16_ror8(word)].into_iter().zip(weights) {
                            both = smlad(x, weights[k], both);
                            second = smlad(x, sxtb16(weights[k]), second);
                        }
                    }
                    let codes = codes::<ROUNDING>([both, second], [[m0, p0], [m1, p1]], layer.zero_point);
                    to[4 * i + 2 * k..][..2].copy_from_slice(&codes);
                }
            }
        }
    }
}

#[cfg(mote_dsp)]
mod arm;
#[cfg(mote_dsp)]
mod pairs;
