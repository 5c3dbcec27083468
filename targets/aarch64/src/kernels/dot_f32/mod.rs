//! The inner loops of float convolutions and fully connected layers: positions times output channels.
//!
//! Weights are those of the portable kernels: blocks of eight output channels, `[inputs][8]` each, zeros in missing
//! channels. A product is added without rounding in between (`FMLA`), so sums differ from the portable ones in their last
//! bits.

#[cfg(target_arch = "aarch64")]
mod arm;

use mote_runtime::engine::Mismatch;

/// Output channels of a block.
pub const CHANNELS: usize = 8;

/// Weights that meet one input.
pub type Weights = [f32; CHANNELS];

/// The parts of a layer that its positions share.
#[derive(Clone, Copy)]
pub struct Layer<'a> {
    /// As many for each block as a position has inputs.
    pub weights: &'a [Weights],
    /// One per output channel.
    pub bias: &'a [f32],
    pub inputs: usize,
    pub min: f32,
    pub max: f32,
}

impl Layer<'_> {
    /// Fills `to` with the outputs of positions, whose inputs begin `distance` numbers apart.
    #[inline]
    pub fn positions(&self, x: &[f32], distance: usize, to: &mut [f32]) -> Result<(), Mismatch> {
        let outputs = self.bias.len();
        let count = to.len().checked_div(outputs).ok_or(Mismatch)?;
        let reads = count.saturating_sub(1).saturating_mul(distance).saturating_add(self.inputs);
        let complete = count > 0
            && self.inputs > 0
            && count * outputs == to.len()
            && reads <= x.len()
            && self.weights.len() >= outputs.div_ceil(CHANNELS) * self.inputs;
        if !complete {
            return Err(Mismatch);
        }
        self.numbers(x, distance, to);
        Ok(())
    }

    #[cfg(target_arch = "aarch64")]
    #[inline(always)]
    fn numbers(&self, x: &[f32], distance: usize, to: &mut [f32]) {
        arm::numbers(self, x, distance, to);
    }

    #[cfg(not(target_arch = "aarch64"))]
    fn numbers(&self, x: &[f32], distance: usize, to: &mut [f32]) {
        let outputs = self.bias.len();
        for (p, to) in to.chunks_exact_mut(outputs).enumerate() {
            let x = x.get(p * distance..).and_then(|x| x.get(..self.inputs)).unwrap_or_default();
            let blocks = self.weights.chunks_exact(self.inputs).zip(self.bias.chunks(CHANNELS));
            for (to, (weights, bias)) in to.chunks_mut(CHANNELS).zip(blocks) {
                let mut sums = [0.0; CHANNELS];
                sums.iter_mut().zip(bias).for_each(|(sum, bias)| *sum = *bias);
                for (x, weights) in x.iter().zip(weights) {
                    sums.iter_mut().zip(weights).for_each(|(sum, w)| *sum += x * w);
                }
                for (to, sum) in to.iter_mut().zip(sums) {
                    let sum = if sum > self.min { sum } else { self.min };
                    *to = if sum < self.max { sum } else { self.max };
                }
            }
        }
    }
}
