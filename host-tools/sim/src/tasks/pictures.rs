//! CIFAR-10, scaled down: pictures of 16 x 16 (means of 2 x 2), and a GN-LeNet of two convolutions with 8 and 16
//! channels, 4,010 parameters instead of the paper's 85,354. Trained by the runtime's own training core.

use super::Deal;
use crate::{Score, SimError, Task};
use mote_runtime::random::Random;
use mote_runtime::train::{Axis, Conv, GroupNorm, Layer, Network, Pool, Sgd, Target, Trainer, Training};
use std::io::Read;
use std::path::Path;

const SIDE: usize = 16;
const PIXELS: usize = SIDE * SIDE * 3;
const BATCH: usize = 20;
const RATE: f32 = 0.02;
const MOMENTUM: f32 = 0.9;
/// Local steps of a round, as Plexus takes them.
const STEPS: usize = 5;
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

const fn near(input: usize) -> Axis {
    Axis { input, window: 3, stride: 1, before: 1, after: 1 }
}

const fn halves(input: usize) -> Axis {
    Axis { input, window: 2, stride: 2, before: 0, after: 0 }
}

const fn block(side: usize, channels: usize, outputs: usize) -> [Layer; 4] {
    let (rows, columns) = (near(side), near(side));
    let positions = side * side;
    [
        Layer::Conv(Conv { rows, columns, channels, outputs }, Training::All),
        Layer::GroupNorm(GroupNorm { positions, channels: outputs, groups: 2, epsilon: 1e-5 }, Training::All),
        Layer::Relu { len: positions * outputs },
        Layer::MaxPool(Pool { rows: halves(side), columns: halves(side), channels: outputs }),
    ]
}

const LAYERS: [Layer; 9] = {
    let [a, b, c, d] = block(SIDE, 3, 8);
    let [e, f, g, h] = block(SIDE / 2, 8, 16);
    [a, b, c, d, e, f, g, h, Layer::Conv(Conv::dense(SIDE / 4 * (SIDE / 4) * 16, 10), Training::All)]
};

const NETWORK: Network<'static> = match Network::new(&LAYERS) {
    Ok(network) => network,
    Err(_) => panic!("layers that don't fit"),
};

struct Set {
    pixels: Vec<f32>,
    classes: Vec<u8>,
}

impl Set {
    fn picture(&self, n: usize) -> &[f32] {
        &self.pixels[n * PIXELS..(n + 1) * PIXELS]
    }
}

/// Pictures of ten classes, dealt to nodes.
pub struct Pictures {
    train: Set,
    test: Set,
    hands: Vec<Vec<u32>>,
    seed: u64,
    rate: f32,
    /// Batches of a round at most.
    steps: usize,
}

impl Pictures {
    /// Reads the first `counts` pictures, for training and for the test, of the archives in `folder`.
    ///
    /// # Errors
    /// [`SimError::Read`], [`SimError::Data`] (its line: the picture's number).
    pub fn read(
        folder: &Path,
        counts: (usize, usize),
        nodes: usize,
        deal: Deal,
        seed: u64,
    ) -> Result<Pictures, SimError> {
        let train = archive(&folder.join("cifar10-train-jpeg.tar.xz"), counts.0)?;
        let test = archive(&folder.join("cifar10-test-jpeg.tar.xz"), counts.1)?;
        let hands = deal.deal(&train.classes, nodes, seed);
        Ok(Pictures { train, test, hands, seed, rate: RATE, steps: STEPS })
    }

    /// With another learning rate and number of local steps, if they are given. As many batches as a node has pictures
    /// for are an epoch; more are not taken.
    pub fn at(self, rate: Option<f32>, steps: Option<usize>) -> Pictures {
        Pictures { rate: rate.unwrap_or(self.rate), steps: steps.unwrap_or(self.steps).max(1), ..self }
    }

    /// The same pictures, dealt and drawn anew.
    pub fn again(self, nodes: usize, deal: Deal, seed: u64) -> Pictures {
        let hands = deal.deal(&self.train.classes, nodes, seed);
        Pictures { hands, seed, ..self }
    }
}

/// The first pictures of each class, `count` together.
fn archive(path: &Path, count: usize) -> Result<Set, SimError> {
    let read = |source| SimError::Read { path: path.to_owned(), source };
    let file = std::io::BufReader::new(std::fs::File::open(path).map_err(read)?);
    let mut archive = tar::Archive::new(lzma_rust2::XzReader::new(file, true));
    let (mut set, mut taken) = (Set { pixels: Vec::new(), classes: Vec::new() }, [0; CLASSES.len()]);
    for (line, entry) in archive.entries().map_err(read)?.enumerate() {
        let mut entry = entry.map_err(read)?;
        let name = entry.path().map_err(read)?.to_string_lossy().into_owned();
        let class = CLASSES.iter().position(|class| name.split('/').any(|part| part == *class));
        let Some(class) =
            class.filter(|class| name.ends_with(".jpg") && taken[*class] < count / CLASSES.len())
        else {
            continue;
        };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(read)?;
        let what = "a picture of 32 x 32 is needed";
        let broken = || SimError::Data { path: path.to_owned(), line, what };
        let picture = image::load_from_memory(&bytes).map_err(|_| broken())?.into_rgb8();
        if picture.dimensions() != (32, 32) {
            return Err(broken());
        }
        let raw = picture.into_raw();
        for at in 0..PIXELS {
            let (row, column, channel) = (at / (SIDE * 3), at / 3 % SIDE, at % 3);
            let of = |r, c| f32::from(raw[((2 * row + r) * 32 + 2 * column + c) * 3 + channel]);
            set.pixels.push((of(0, 0) + of(0, 1) + of(1, 0) + of(1, 1)) / 4.0 / 64.0 - 2.0);
        }
        set.classes.push(class as u8);
        taken[class] += 1;
    }
    Ok(set)
}

impl Task for Pictures {
    fn parameters(&self) -> usize {
        NETWORK.trained()
    }

    fn initial(&self) -> Vec<f32> {
        with_trainer(false, |trainer| {
            trainer.initialize(self.seed);
            trainer.parameters().to_vec()
        })
    }

    fn train(&self, node: usize, round: u32, parameters: &[f32]) -> Vec<f32> {
        let mut order = self.hands.get(node).cloned().unwrap_or_default();
        Random::new(self.seed ^ (u64::from(round) << 32 | node as u64)).shuffle(&mut order);
        let sgd = Sgd { rate: self.rate, momentum: MOMENTUM, decay: 0.0 };
        with_trainer(true, |trainer| {
            trainer.parameters_mut().copy_from_slice(parameters);
            for batch in order.chunks(BATCH).take(self.steps) {
                for sample in batch {
                    let class = usize::from(self.train.classes[*sample as usize]);
                    // What is not finite does not count; a batch of nothing else changes nothing.
                    let _ = trainer.learn(self.train.picture(*sample as usize), Target::Class(class));
                }
                let _ = trainer.update(&sgd);
            }
            trainer.parameters().to_vec()
        })
    }

    fn steps(&self, node: usize) -> u32 {
        self.hands.get(node).map_or(1, |hand| hand.len().div_ceil(BATCH).min(self.steps)) as u32
    }

    fn samples(&self, node: usize) -> usize {
        self.hands.get(node).map_or(0, Vec::len)
    }

    /// `value`: share of right answers.
    fn evaluate(&self, parameters: &[f32]) -> Score {
        with_trainer(false, |trainer| {
            trainer.parameters_mut().copy_from_slice(parameters);
            let (mut right, mut loss) = (0, 0.0);
            for (n, class) in self.test.classes.iter().enumerate() {
                let class = usize::from(*class);
                let Ok(answer) = trainer.predict(self.test.picture(n)) else { continue };
                let largest = answer.iter().fold(f32::NEG_INFINITY, |a, b| a.max(*b));
                right += u32::from(answer[class] == largest);
                let sum: f64 = answer.iter().map(|v| f64::from(v - largest).exp()).sum();
                loss += sum.ln() - f64::from(answer[class] - largest);
            }
            let count = self.test.classes.len().max(1) as f64;
            Score { value: f64::from(right) / count, loss: loss / count }
        })
    }
}

fn with_trainer<R>(momentum: bool, work: impl FnOnce(&mut Trainer<'_>) -> R) -> R {
    let mut memory = vec![0.0; NETWORK.memory(momentum).total().div_ceil(4)];
    match Trainer::new(NETWORK, &[], &mut memory, momentum) {
        Ok(mut trainer) => work(&mut trainer),
        Err(error) => unreachable!("as much memory as the network asks for: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pictures whose brightest corner tells the class.
    fn toy(count: usize, seed: u64) -> Set {
        let mut random = Random::new(seed);
        let mut set = Set { pixels: Vec::new(), classes: Vec::new() };
        for n in 0..count {
            let class = n % 4;
            for at in 0..PIXELS {
                let (row, column) = (at / (SIDE * 3) / 8, at / 3 % SIDE / 8);
                let bright = if row * 2 + column == class { 1.0 } else { 0.0 };
                set.pixels.push(bright + random.unit() - 0.5);
            }
            set.classes.push(class as u8);
        }
        set
    }

    #[test]
    fn a_few_rounds_learn_a_toy() {
        let (train, test) = (toy(400, 1), toy(100, 2));
        let hands = Deal::Even.deal(&train.classes, 4, 1);
        let task = Pictures { train, test, hands, seed: 1, rate: RATE, steps: STEPS };
        assert_eq!(task.parameters(), 4010);
        let mut parameters = task.initial();
        let before = task.evaluate(&parameters);
        for round in 1..6 {
            parameters = task.train(0, round, &parameters);
            assert_eq!(parameters.len(), 4010);
        }
        let after = task.evaluate(&parameters);
        assert!(before.value < 0.6 && after.value > 0.9 && after.loss < before.loss, "{before:?} {after:?}");
    }
}
