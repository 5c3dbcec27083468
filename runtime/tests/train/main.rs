//! Training against a slow reference in `f64` that shares no code with it, against finite differences of that, against
//! PyTorch, and against itself: order of samples, frozen parts, memory.

mod codes;
mod reference;
mod torch;

use mote_runtime::train::{
    Axis, Conv, Depthwise, GroupNorm, Layer, Network, NetworkError, Pool, Random, Sgd, Target, TrainError,
    Trainer, Training,
};

const fn axis(input: usize, window: usize, stride: usize, before: usize, after: usize) -> Axis {
    Axis { input, window, stride, before, after }
}

const fn square(input: usize, window: usize, stride: usize, padding: usize) -> (Axis, Axis) {
    let axis = axis(input, window, stride, padding, padding);
    (axis, axis)
}

fn conv((rows, columns): (Axis, Axis), channels: usize, outputs: usize) -> Conv {
    Conv { rows, columns, channels, outputs }
}

fn pool((rows, columns): (Axis, Axis), channels: usize) -> Pool {
    Pool { rows, columns, channels }
}

fn norm(positions: usize, channels: usize, groups: usize) -> GroupNorm {
    GroupNorm { positions, channels, groups, epsilon: 1e-5 }
}

/// Networks with every kind of layer, odd sizes, tails of every blocking.
fn networks() -> Vec<(&'static str, Vec<Layer>)> {
    use Training::{All, Bias, Nothing};
    let lenet = |first| {
        vec![
            Layer::Conv(conv(square(12, 5, 1, 2), 3, 8), first),
            Layer::GroupNorm(norm(144, 8, 2), first),
            Layer::Relu { len: 144 * 8 },
            Layer::MaxPool(pool(square(12, 3, 2, 0), 8)),
            Layer::Conv(conv(square(5, 5, 1, 2), 8, 9), All),
            Layer::GroupNorm(norm(25, 9, 3), All),
            Layer::Relu { len: 25 * 9 },
            Layer::MaxPool(pool(square(5, 3, 2, 0), 9)),
            Layer::Conv(Conv::dense(36, 10), All),
        ]
    };
    vec![
        ("head", vec![Layer::Conv(Conv::dense(64, 10), All)]),
        ("lenet", lenet(All)),
        ("lenet, first part frozen", lenet(Nothing)),
        ("lenet, first part's biases", lenet(Bias)),
        (
            "odd",
            vec![
                Layer::Conv(
                    Conv {
                        rows: axis(7, 3, 2, 1, 0),
                        columns: axis(9, 4, 1, 0, 3),
                        channels: 2,
                        outputs: 11,
                    },
                    All,
                ),
                Layer::Relu { len: 3 * 9 * 11 },
                Layer::Depthwise(
                    Depthwise { rows: axis(3, 3, 1, 1, 1), columns: axis(9, 5, 2, 2, 1), channels: 11 },
                    All,
                ),
                Layer::GroupNorm(norm(3 * 4, 11, 11), Bias),
                Layer::Relu { len: 3 * 4 * 11 },
                Layer::MeanPool(Pool {
                    rows: axis(3, 2, 1, 1, 1),
                    columns: axis(4, 4, 1, 0, 0),
                    channels: 11,
                }),
                Layer::Conv(Conv::dense(44, 17), Bias),
                Layer::Relu { len: 17 },
                Layer::Conv(Conv::dense(17, 3), All),
            ],
        ),
        (
            "normalization first",
            vec![
                Layer::GroupNorm(norm(6, 4, 2), All),
                Layer::Conv(
                    Conv { rows: axis(2, 1, 1, 0, 0), columns: axis(3, 3, 1, 1, 1), channels: 4, outputs: 5 },
                    All,
                ),
                Layer::MeanPool(Pool {
                    rows: axis(2, 2, 1, 0, 0),
                    columns: axis(3, 3, 1, 0, 0),
                    channels: 5,
                }),
            ],
        ),
    ]
}

fn numbers(random: &mut Random, count: usize) -> Vec<f32> {
    (0..count).map(|_| 2.0 * random.unit() - 1.0).collect()
}

/// A trainer over memory of exactly the size that is told.
fn memory(network: &Network<'_>, momentum: bool) -> Vec<f32> {
    let bytes = network.memory(momentum).total();
    assert_eq!(bytes % 4, 0);
    vec![f32::NAN; bytes / 4]
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for (name, layers) in networks() {
        let network = Network::new(&layers).unwrap();
        let mut random = Random::new(7);
        let frozen: Vec<_> = numbers(&mut random, network.frozen()).iter().map(|x| 0.4 * x).collect();
        let mut memory = memory(&network, false);
        let mut trainer = Trainer::new(network, &frozen, &mut memory, false).unwrap();
        trainer.initialize(3);
        let input = numbers(&mut random, network.input());
        let values = numbers(&mut random, network.output());
        for target in [Target::Class(1), Target::Values(&values)] {
            trainer.restart();
            let loss = trainer.learn(&input, target).unwrap();
            assert_eq!(trainer.loss(&input, target).unwrap().to_bits(), loss.to_bits());
            let parameters: Vec<f64> = trainer.parameters().iter().map(|x| f64::from(*x)).collect();
            let at = |parameters: &[f64]| reference::loss(&layers, parameters, &frozen, &input, target);
            assert!((at(&parameters) - f64::from(loss)).abs() < 1e-5, "{name}: {loss}");
            let scale = trainer.gradients().iter().fold(0f32, |a, b| a.max(b.abs()));
            assert!(scale > 1e-3);
            let mut moved = parameters.clone();
            // Each, but of large networks a part that meets every layer.
            for i in (0..parameters.len()).step_by(parameters.len() / 600 + 1) {
                const STEP: f64 = 1e-6;
                moved[i] = parameters[i] + STEP;
                let above = at(&moved);
                moved[i] = parameters[i] - STEP;
                let slope = (above - at(&moved)) / (2.0 * STEP);
                moved[i] = parameters[i];
                let got = f64::from(trainer.gradients()[i]);
                assert!(
                    (got - slope).abs() < 2e-5 * f64::from(scale).max(1.0),
                    "{name}, {i}: {got}, {slope}"
                );
            }
        }
    }
}

#[test]
fn answers_are_those_of_the_reference() {
    for (name, layers) in networks() {
        let network = Network::new(&layers).unwrap();
        let mut random = Random::new(11);
        let frozen = numbers(&mut random, network.frozen());
        let mut memory = memory(&network, true);
        let mut trainer = Trainer::new(network, &frozen, &mut memory, true).unwrap();
        trainer.initialize(4);
        let input = numbers(&mut random, network.input());
        let parameters: Vec<f64> = trainer.parameters().iter().map(|x| f64::from(*x)).collect();
        let want = reference::answer(&layers, &parameters, &frozen, &input);
        let got = trainer.predict(&input).unwrap();
        assert_eq!(got.len(), want.len());
        for (got, want) in got.iter().zip(&want) {
            assert!((f64::from(*got) - want).abs() < 1e-5 * want.abs().max(1.0), "{name}: {got}, {want}");
        }
    }
}

#[test]
fn frozen_layers_stay_and_trained_ones_learn() {
    for (name, layers) in networks() {
        let network = Network::new(&layers).unwrap();
        let mut random = Random::new(5);
        let frozen: Vec<_> = numbers(&mut random, network.frozen()).iter().map(|x| 0.4 * x).collect();
        let samples: Vec<_> = (0..6).map(|_| numbers(&mut random, network.input())).collect();
        let mut memory = memory(&network, true);
        let mut trainer = Trainer::new(network, &frozen, &mut memory, true).unwrap();
        trainer.initialize(1);
        let mut losses = Vec::new();
        for _ in 0..200 {
            let mut sum = 0.0;
            for (i, sample) in samples.iter().enumerate() {
                sum += trainer.learn(sample, Target::Class(i % 3)).unwrap();
            }
            trainer.update(&Sgd { rate: 0.02, momentum: 0.9, decay: 0.0 }).unwrap();
            losses.push(sum);
        }
        let (first, last) = (losses[0], losses[199]);
        assert!(last < 0.7 * first, "{name}: {first} to {last}");
    }
}

#[test]
fn training_is_the_same_bits_each_time() {
    let (_, layers) = networks().swap_remove(1);
    let network = Network::new(&layers).unwrap();
    let run = |seed| {
        let mut memory = memory(&network, true);
        let mut trainer = Trainer::new(network, &[], &mut memory, true).unwrap();
        trainer.initialize(seed);
        let mut random = Random::new(9);
        for i in 0..12 {
            let input = numbers(&mut random, network.input());
            trainer.learn(&input, Target::Class(i % 10)).unwrap();
            if i % 4 == 3 {
                trainer.update(&Sgd { rate: 0.05, momentum: 0.9, decay: 1e-4 }).unwrap();
            }
        }
        trainer.parameters().iter().fold(0u64, |hash, x| {
            (hash ^ u64::from(x.to_bits())).wrapping_mul(0x100_0000_01b3).rotate_left(17)
        })
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    // The same number on every machine: programs on boards assert it, too.
    assert_eq!(run(1), EXPECTED, "{:#x}", run(1));
}

const EXPECTED: u64 = 0x2a7a_ddd5_f8c8_8c87;

#[test]
fn a_bad_sample_changes_nothing() {
    let layers = [Layer::Conv(Conv::dense(3, 2), Training::All)];
    let network = Network::new(&layers).unwrap();
    let mut memory = memory(&network, true);
    let mut trainer = Trainer::new(network, &[], &mut memory, true).unwrap();
    trainer.initialize(1);
    let before = trainer.parameters().to_vec();
    let sgd = Sgd { rate: 1.0, momentum: 0.5, decay: 0.0 };
    assert_eq!(trainer.update(&sgd), Err(TrainError::NoSamples));
    assert_eq!(trainer.learn(&[1.0; 2], Target::Class(0)), Err(TrainError::Length { needed: 3, given: 2 }));
    assert_eq!(trainer.learn(&[1.0; 3], Target::Class(2)), Err(TrainError::Target));
    assert_eq!(trainer.learn(&[1.0; 3], Target::Values(&[0.0])), Err(TrainError::Target));
    assert_eq!(trainer.learn(&[f32::NAN, 0.0, 0.0], Target::Class(1)), Err(TrainError::Loss));
    assert_eq!(trainer.learn(&[1e38; 3], Target::Values(&[0.0, 1.0])), Err(TrainError::Loss));
    assert_eq!(trainer.update(&sgd), Err(TrainError::NoSamples));
    // A finite loss whose slopes add up to none.
    for _ in 0..3 {
        trainer.learn(&[3e38, 0.0, 0.0], Target::Class(0)).unwrap();
    }
    assert_eq!(trainer.update(&sgd), Err(TrainError::Gradient));
    assert_eq!(trainer.parameters(), before);
    assert!(trainer.learn(&[1.0, 2.0, 3.0], Target::Class(1)).unwrap().is_finite());
    trainer.update(&sgd).unwrap();
    assert_ne!(trainer.parameters(), before);
}

#[test]
fn networks_that_are_none_are_refused() {
    let dense = Layer::Conv(Conv::dense(4, 4), Training::All);
    let refused = |layers: &[Layer]| Network::new(layers).err();
    assert_eq!(refused(&[]), Some(NetworkError::Empty));
    assert_eq!(refused(&[Layer::Relu { len: 4 }]), Some(NetworkError::NothingToTrain));
    let length = NetworkError::Length { layer: 1, needed: 5, given: 4 };
    assert_eq!(refused(&[dense, Layer::Relu { len: 5 }]), Some(length));
    for layer in [
        Layer::MaxPool(pool(square(2, 3, 1, 0), 1)),
        Layer::MaxPool(pool(square(2, 2, 1, 2), 1)),
        Layer::MaxPool(pool(square(16, 16, 1, 0), 1)),
        Layer::GroupNorm(norm(2, 2, 3), Training::All),
        Layer::GroupNorm(norm(2, 2, 0), Training::All),
        Layer::Conv(Conv::dense(0, 4), Training::All),
        Layer::Conv(Conv::dense(4, 0), Training::All),
        Layer::Conv(Conv::dense(usize::MAX, 4), Training::All),
        Layer::Conv(conv(square(1 << 40, 3, 1, 0), 1 << 40, 1), Training::All),
    ] {
        assert_eq!(refused(&[layer]), Some(NetworkError::Shape { layer: 0 }), "{layer:?}");
    }
}

#[test]
fn memory_is_told_by_part() {
    // The head of a network with 64 features and 12 classes, and the network of decentralized learning's papers.
    let head = [Layer::Conv(Conv::dense(64, 12), Training::All)];
    let memory = Network::new(&head).unwrap().memory(true);
    assert_eq!((memory.parameters, memory.gradients, memory.momentum), (3120, 3120, 3120));
    assert_eq!((memory.saved, memory.work, memory.total()), (0, 96, 9456));
    let mut short = vec![0.0; memory.total() / 4 - 1];
    let error = Trainer::new(Network::new(&head).unwrap(), &[], &mut short, true).unwrap_err();
    assert_eq!(error, TrainError::Memory { needed: 9456, given: 9452 });
    let frozen = Trainer::new(Network::new(&head).unwrap(), &[0.0], &mut short, true).unwrap_err();
    assert_eq!(frozen, TrainError::Length { needed: 0, given: 1 });
}
