//! A member's own data, and its training on a host.

use crate::PeerError;
use crate::task::Task;
use mote_modest::local::{Local, Samples};
use mote_runtime::train::{Network, TrainError, Trainer};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

/// Samples with their classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Data {
    features: usize,
    inputs: Vec<f32>,
    classes: Vec<usize>,
}

impl Data {
    /// # Errors
    /// [`PeerError::Data`]: no samples, of another length, or of classes that the task does not have.
    pub fn new(task: &Task, inputs: Vec<f32>, classes: Vec<usize>) -> Result<Data, PeerError> {
        let features = task.features();
        let outputs: usize = task.widths.last().copied().unwrap_or(0).into();
        let bad = |why: String| Err(PeerError::Data(why));
        if classes.is_empty() || inputs.len() != features * classes.len() {
            return bad(format!(
                "{} numbers for {} labels of {features} features each",
                inputs.len(),
                classes.len()
            ));
        }
        if let Some(class) = classes.iter().find(|class| **class >= outputs) {
            return bad(format!("label {class}, but the task has {outputs} classes"));
        }
        if inputs.iter().any(|x| !x.is_finite()) {
            return bad("inputs that are not finite".into());
        }
        Ok(Data { features, inputs, classes })
    }

    /// Reads `inputs.npy` (f32, samples x features) and `labels.npy` (integers) of a folder.
    ///
    /// # Errors
    /// [`PeerError::File`], [`PeerError::Data`].
    pub fn read(folder: &Path, task: &Task) -> Result<Data, PeerError> {
        let (inputs, labels) = (folder.join("inputs.npy"), folder.join("labels.npy"));
        let bytes = |path: &Path| std::fs::read(path).map_err(|error| PeerError::file(path, &error));
        let bad = |path: &Path, why: &str| PeerError::Data(format!("{}: {why}", path.display()));
        let file = bytes(&inputs)?;
        let npy = npyz::NpyFile::new(&file[..]).map_err(|e| bad(&inputs, &e.to_string()))?;
        let values = npy.into_vec::<f32>().map_err(|e| bad(&inputs, &format!("f32 is needed: {e}")))?;
        let file = bytes(&labels)?;
        let npy = npyz::NpyFile::new(&file[..]).map_err(|e| bad(&labels, &e.to_string()))?;
        let classes = npy.into_vec::<i64>().map_err(|e| bad(&labels, &format!("int64 is needed: {e}")))?;
        let classes: Option<Vec<usize>> = classes.into_iter().map(|c| c.try_into().ok()).collect();
        Data::new(task, values, classes.ok_or_else(|| bad(&labels, "a label below 0"))?)
    }

    /// Trains for a round, unless `current` becomes another round meanwhile; the parameters and the mean loss.
    ///
    /// # Errors
    /// What the trainer refuses, such as a loss that is not finite.
    pub fn train(
        &self,
        task: &Task,
        round: u32,
        base: &[f32],
        current: &AtomicU32,
    ) -> Result<Option<(Vec<f32>, f32)>, TrainError> {
        let layers = task.layers();
        let network = Network::new(&layers).map_err(|_| TrainError::NoSamples)?;
        let mut memory = vec![0.0; network.memory(true).total().div_ceil(4)];
        let mut trainer = Trainer::new(network, &[], &mut memory, true)?;
        let mut input = vec![0.0; self.features];
        let mut local = Local::begin(&mut trainer, task.recipe, self.classes.len(), base.iter().copied())?;
        let mut samples = self;
        while !local.step(&mut trainer, &mut samples, &mut input)? {
            if current.load(Ordering::Relaxed) != round {
                return Ok(None);
            }
        }
        Ok(Some((trainer.parameters().to_vec(), local.loss())))
    }

    /// Share of right answers.
    pub fn accuracy(&self, task: &Task, parameters: &[f32]) -> f32 {
        let layers = task.layers();
        let Ok(network) = Network::new(&layers) else { return 0.0 };
        let mut memory = vec![0.0; network.memory(false).total().div_ceil(4)];
        let Ok(mut trainer) = Trainer::new(network, &[], &mut memory, false) else { return 0.0 };
        if trainer.parameters().len() != parameters.len() {
            return 0.0;
        }
        trainer.parameters_mut().copy_from_slice(parameters);
        let rows = self.inputs.chunks_exact(self.features).zip(&self.classes);
        let right = rows.filter(|(input, class)| {
            let Ok(answer) = trainer.predict(input) else { return false };
            let best = answer.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
            best.is_some_and(|(best, _)| best == **class)
        });
        right.count() as f32 / self.classes.len() as f32
    }
}

impl Samples for &Data {
    fn count(&self) -> usize {
        self.classes.len()
    }

    fn sample(&mut self, index: usize, input: &mut [f32]) -> Option<usize> {
        let row = self.inputs.chunks_exact(self.features).nth(index)?;
        input.get_mut(..row.len())?.copy_from_slice(row);
        self.classes.get(index).copied()
    }
}
