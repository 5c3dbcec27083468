//! What a member does with its own data in a round: the same steps on a device and on a host, hence the same numbers.

use mote_runtime::train::{Sgd, Target, TrainError, Trainer};
use serde::{Deserialize, Serialize};

/// How every member trains.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recipe {
    pub rate: f32,
    pub momentum: f32,
    /// Samples of an update; the last ones of an epoch may be fewer.
    pub batch: u16,
    pub epochs: u16,
}

impl Recipe {
    fn sgd(&self) -> Sgd {
        Sgd { rate: self.rate, momentum: self.momentum, decay: 0.0 }
    }
}

/// A member's own data.
pub trait Samples {
    fn count(&self) -> usize;
    /// Writes sample `index` and tells its class; `None` where it is none.
    fn sample(&mut self, index: usize, input: &mut [f32]) -> Option<usize>;
}

/// A round's training under way: a sample at a time, so that whoever trains can look after other things in between.
/// Samples come in their order, epoch after epoch; momentum begins at nothing in each round.
#[derive(Clone, Debug)]
pub struct Local {
    recipe: Recipe,
    /// Samples learned.
    done: usize,
    of: usize,
    losses: f32,
}

impl Local {
    /// Begins at `base`, of as many numbers as the network trains.
    ///
    /// # Errors
    /// [`TrainError::Length`], [`TrainError::NoSamples`].
    pub fn begin(
        trainer: &mut Trainer<'_>,
        recipe: Recipe,
        count: usize,
        base: impl ExactSizeIterator<Item = f32>,
    ) -> Result<Local, TrainError> {
        let (needed, given) = (trainer.parameters().len(), base.len());
        if needed != given {
            return Err(TrainError::Length { needed, given });
        }
        if count == 0 {
            return Err(TrainError::NoSamples);
        }
        trainer.restart();
        trainer.parameters_mut().iter_mut().zip(base).for_each(|(to, from)| *to = from);
        let of = count.saturating_mul(recipe.epochs.max(1).into());
        Ok(Local { recipe, done: 0, of, losses: 0.0 })
    }

    /// Learns the next sample; `true` when it was the last one.
    ///
    /// # Errors
    /// Those of [`Trainer::learn`] and [`Trainer::update`].
    pub fn step(
        &mut self,
        trainer: &mut Trainer<'_>,
        samples: &mut impl Samples,
        input: &mut [f32],
    ) -> Result<bool, TrainError> {
        let count = samples.count().max(1);
        let index = self.done % count;
        let class = samples.sample(index, input).ok_or(TrainError::Target)?;
        self.losses += trainer.learn(input, Target::Class(class))?;
        self.done += 1;
        let full = trainer.samples() >= u32::from(self.recipe.batch.max(1));
        if full || index + 1 == count {
            trainer.update(&self.recipe.sgd())?;
        }
        Ok(self.done >= self.of)
    }

    /// Mean loss so far.
    pub fn loss(&self) -> f32 {
        self.losses / self.done.max(1) as f32
    }
}
