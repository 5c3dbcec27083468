//! What applications hold to train a network.

use super::{
    loss::Target,
    network::{Layer, Memory, Network},
    pass::{self, Pair, Parameters, Saved},
};
use crate::random::Random;

/// Stochastic gradient descent with momentum (Sutskever et al. 2013, as PyTorch has it): with the mean gradient `g`,
/// `g += decay * w`, `v = momentum * v + g`, `w -= rate * v`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    pub rate: f32,
    /// Without effect in a trainer that keeps none.
    pub momentum: f32,
    pub decay: f32,
}

/// Why a trainer could not be made or driven.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum TrainError {
    /// Less memory than [`Network::memory`] tells; bytes.
    Memory { needed: usize, given: usize },
    /// Another number of elements than the network has there.
    Length { needed: usize, given: usize },
    /// A class that the answer does not have, or values of another number.
    Target,
    /// The loss is not a number, or infinite; the sample was not counted.
    Loss,
    /// A gradient is not a number, or infinite; the parameters were left as they were, the batch was dropped.
    Gradient,
    /// No sample since the last update.
    NoSamples,
}

impl core::fmt::Display for TrainError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            TrainError::Memory { needed, given } => {
                write!(f, "training needs {needed} bytes, {given} are given")
            }
            TrainError::Length { needed, given } => {
                write!(f, "{needed} elements are needed, {given} are given")
            }
            TrainError::Target => write!(f, "the target is not one for this network's answer"),
            TrainError::Loss => write!(f, "the loss is not finite"),
            TrainError::Gradient => write!(f, "a gradient is not finite"),
            TrainError::NoSamples => write!(f, "no sample since the last update"),
        }
    }
}

impl core::error::Error for TrainError {}

/// Trains a network in memory that was given to it, sample by sample; a batch is the samples between two updates.
#[derive(Debug)]
pub struct Trainer<'m> {
    network: Network<'m>,
    frozen: &'m [f32],
    trained: &'m mut [f32],
    gradients: &'m mut [f32],
    momentum: &'m mut [f32],
    numbers: &'m mut [f32],
    marks: &'m mut [u8],
    here: &'m mut [f32],
    there: &'m mut [f32],
    scratch: &'m mut [f32],
    samples: u32,
}

impl<'m> Trainer<'m> {
    /// Divides `memory`, of [`Network::memory`] bytes or more. All trained parameters are zero; set them by
    /// [`Trainer::initialize`] or [`Trainer::parameters_mut`].
    pub fn new(
        network: Network<'m>,
        frozen: &'m [f32],
        memory: &'m mut [f32],
        momentum: bool,
    ) -> Result<Self, TrainError> {
        length(network.frozen(), frozen.len())?;
        let Memory { gradients, momentum, .. } = network.memory(momentum);
        let needed = network.memory(momentum > 0).total();
        let short = TrainError::Memory { needed, given: 4 * memory.len() };
        let sizes = network.sizes;
        let mut rest = memory;
        let mut take = |numbers| rest.split_off_mut(..numbers).ok_or(short);
        let mut trainer = Self {
            network,
            frozen,
            trained: take(sizes.trained)?,
            gradients: take(gradients / 4)?,
            momentum: take(momentum / 4)?,
            numbers: take(sizes.saved)?,
            here: take(sizes.widest)?,
            there: take(sizes.widest)?,
            scratch: take(sizes.scratch)?,
            marks: bytemuck::cast_slice_mut(take(sizes.marks.div_ceil(4))?),
            samples: 0,
        };
        trainer.trained.fill(0.0);
        trainer.gradients.fill(0.0);
        trainer.momentum.fill(0.0);
        trainer.marks = trainer.marks.split_off_mut(..sizes.marks).ok_or(short)?;
        Ok(trainer)
    }

    pub fn network(&self) -> &Network<'m> {
        &self.network
    }

    /// Trained parameters, in the order that [`Network::trained`] tells.
    pub fn parameters(&self) -> &[f32] {
        self.trained
    }

    pub fn parameters_mut(&mut self) -> &mut [f32] {
        self.trained
    }

    /// Sums of the gradients of the samples since the last update, in the order of the parameters.
    pub fn gradients(&self) -> &[f32] {
        self.gradients
    }

    /// Samples since the last update.
    pub fn samples(&self) -> u32 {
        self.samples
    }

    /// Forgets momentum and the samples since the last update, as before a round on other parameters.
    pub fn restart(&mut self) {
        self.gradients.fill(0.0);
        self.momentum.fill(0.0);
        self.samples = 0;
    }

    /// Draws the trained parameters as PyTorch does: weights and biases of convolutions and dense layers from
    /// `-1 / sqrt(n) .. 1 / sqrt(n)`, where `n` numbers make an output; normalizations begin as identities.
    pub fn initialize(&mut self, seed: u64) {
        let mut random = Random::new(seed);
        let mut rest = &mut *self.trained;
        for layer in self.network.layers() {
            let (weights, biases) = layer.trained();
            let Some(weights) = rest.split_off_mut(..weights) else { return };
            let Some(biases) = rest.split_off_mut(..biases) else { return };
            if let Layer::GroupNorm(..) = layer {
                weights.fill(1.0);
                biases.fill(0.0);
            } else {
                let (all, outputs) = layer.parameters();
                let limit = 1.0 / libm::sqrtf((all / outputs.max(1)) as f32);
                for parameter in weights.iter_mut().chain(biases) {
                    *parameter = limit * (2.0 * random.unit() - 1.0);
                }
            }
        }
    }

    /// The network's answer.
    pub fn predict(&mut self, input: &[f32]) -> Result<&[f32], TrainError> {
        Ok(self.answer(input)?)
    }

    /// The loss of a sample, without learning from it.
    pub fn loss(&mut self, input: &[f32], target: Target<'_>) -> Result<f32, TrainError> {
        target.gradient(self.answer(input)?).ok_or(TrainError::Target)
    }

    /// Adds a sample's gradients to those of the batch, and tells its loss.
    pub fn learn(&mut self, input: &[f32], target: Target<'_>) -> Result<f32, TrainError> {
        length(self.network.input(), input.len())?;
        // Slices are as long as the network says, so a pass never ends half way.
        let broken = TrainError::Length { needed: self.network.input(), given: input.len() };
        let parameters = Parameters { trained: self.trained, frozen: self.frozen };
        let mut pair = Pair { here: self.here, there: self.there };
        let mut saved = Saved { numbers: self.numbers, marks: self.marks };
        pass::forward(&self.network, parameters, input, Some(&mut saved), &mut pair).ok_or(broken)?;
        let answer = pair.here.get_mut(..self.network.output()).ok_or(broken)?;
        let loss = target.gradient(answer).ok_or(TrainError::Target)?;
        if !loss.is_finite() {
            return Err(TrainError::Loss);
        }
        pass::backward(&self.network, parameters, input, saved, self.gradients, &mut pair, self.scratch)
            .ok_or(broken)?;
        self.samples = self.samples.saturating_add(1);
        Ok(loss)
    }

    /// One step along the mean gradient of the samples since the last one.
    pub fn update(&mut self, sgd: &Sgd) -> Result<(), TrainError> {
        if self.samples == 0 {
            return Err(TrainError::NoSamples);
        }
        let share = 1.0 / self.samples as f32;
        self.samples = 0;
        if !self.gradients.iter().all(|gradient| gradient.is_finite()) {
            self.gradients.fill(0.0);
            return Err(TrainError::Gradient);
        }
        let steps = self.trained.iter_mut().zip(self.gradients.iter_mut());
        if self.momentum.is_empty() {
            for (parameter, gradient) in steps {
                *parameter -= sgd.rate * (*gradient * share + sgd.decay * *parameter);
                *gradient = 0.0;
            }
        } else {
            for ((parameter, gradient), velocity) in steps.zip(self.momentum.iter_mut()) {
                *velocity = sgd.momentum * *velocity + (*gradient * share + sgd.decay * *parameter);
                *parameter -= sgd.rate * *velocity;
                *gradient = 0.0;
            }
        }
        Ok(())
    }

    fn answer(&mut self, input: &[f32]) -> Result<&mut [f32], TrainError> {
        length(self.network.input(), input.len())?;
        let broken = TrainError::Length { needed: self.network.input(), given: input.len() };
        let parameters = Parameters { trained: self.trained, frozen: self.frozen };
        let mut pair = Pair { here: self.here, there: self.there };
        pass::forward(&self.network, parameters, input, None, &mut pair).ok_or(broken)?;
        pair.here.get_mut(..self.network.output()).ok_or(broken)
    }
}

fn length(needed: usize, given: usize) -> Result<(), TrainError> {
    if needed == given { Ok(()) } else { Err(TrainError::Length { needed, given }) }
}
