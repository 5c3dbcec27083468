//! Training gives the bits that it gives on the host (`runtime/tests/train`), and a head fits beside its network.
#![no_std]
#![no_main]

use mote_boards as board;
use mote_runtime::train::{
    Axis, Conv, GroupNorm, Layer, Network, NetworkError, Pool, Random, Sgd, Target, TrainError, Trainer,
    Training,
};
use static_cell::ConstStaticCell;

const fn square(input: usize, window: usize, stride: usize, padding: usize) -> Axis {
    Axis { input, window, stride, before: padding, after: padding }
}

const fn conv(axis: Axis, channels: usize, outputs: usize) -> Layer {
    Layer::Conv(Conv { rows: axis, columns: axis, channels, outputs }, Training::All)
}

const fn pool(axis: Axis, channels: usize) -> Layer {
    Layer::MaxPool(Pool { rows: axis, columns: axis, channels })
}

const fn norm(positions: usize, channels: usize, groups: usize) -> Layer {
    Layer::GroupNorm(GroupNorm { positions, channels, groups, epsilon: 1e-5 }, Training::All)
}

/// The small network of the host's test.
static LENET: [Layer; 9] = [
    conv(square(12, 5, 1, 2), 3, 8),
    norm(144, 8, 2),
    Layer::Relu { len: 144 * 8 },
    pool(square(12, 3, 2, 0), 8),
    conv(square(5, 5, 1, 2), 8, 9),
    norm(25, 9, 3),
    Layer::Relu { len: 25 * 9 },
    pool(square(5, 3, 2, 0), 9),
    Layer::Conv(Conv::dense(36, 10), Training::All),
];

/// 64 features, 10 classes.
static HEAD: [Layer; 1] = [Layer::Conv(Conv::dense(64, 10), Training::All)];

static MEMORY: ConstStaticCell<[f32; 16 * 1024]> = ConstStaticCell::new([0.0; 16 * 1024]);

#[board::entry]
fn main() -> ! {
    let memory = MEMORY.take();
    match lenet(memory) {
        Ok(hash) => defmt::info!("parameters {=u64:#x}", hash),
        Err(_) => board::exit(1),
    }
    match head(memory) {
        Ok(bytes) => defmt::info!("head: {=usize} bytes", bytes),
        Err(_) => board::exit(2),
    }
    board::exit(0)
}

enum Failure {
    Network,
    Train,
}

impl From<NetworkError> for Failure {
    fn from(_: NetworkError) -> Self {
        Failure::Network
    }
}

impl From<TrainError> for Failure {
    fn from(_: TrainError) -> Self {
        Failure::Train
    }
}

fn lenet(memory: &mut [f32]) -> Result<u64, Failure> {
    let network = Network::new(&LENET)?;
    let mut trainer = Trainer::new(network, &[], memory, true)?;
    trainer.initialize(1);
    let mut random = Random::new(9);
    let mut input = [0.0; 12 * 12 * 3];
    for i in 0..12 {
        input.iter_mut().for_each(|x| *x = 2.0 * random.unit() - 1.0);
        trainer.learn(&input, Target::Class(i % 10))?;
        if i % 4 == 3 {
            trainer.update(&Sgd { rate: 0.05, momentum: 0.9, decay: 1e-4 })?;
        }
    }
    Ok(trainer
        .parameters()
        .iter()
        .fold(0u64, |hash, x| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x100_0000_01b3).rotate_left(17)))
}

fn head(memory: &mut [f32]) -> Result<usize, Failure> {
    let network = Network::new(&HEAD)?;
    let mut trainer = Trainer::new(network, &[], memory, true)?;
    trainer.initialize(1);
    let mut random = Random::new(2);
    let mut features = [0.0; 64];
    features.iter_mut().for_each(|x| *x = random.unit());
    let loss = trainer.learn(&features, Target::Class(3))?;
    trainer.update(&Sgd { rate: 0.05, momentum: 0.9, decay: 0.0 })?;
    core::hint::black_box(loss);
    Ok(network.memory(true).total())
}
