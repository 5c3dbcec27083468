//! Losses, gradients and updates against PyTorch's, in f64, of networks with every kind of layer (`tests/golden/train.py`).

use super::{conv, norm, pool, square};
use mote_runtime::random::Random;
use mote_runtime::train::{Conv, Depthwise, Layer, Network, Sgd, Target, Trainer, Training};

const BATCHES: usize = 5;
const BATCH: usize = 3;
/// Of an f32 computation against one in f64: of the largest number beside it, or absolutely where that is below one.
const TOLERANCE: f32 = 2e-6;

struct Case {
    name: &'static str,
    /// With classes, and with values.
    golden: [&'static [u8]; 2],
    layers: Vec<Layer>,
}

fn networks() -> Vec<Case> {
    use Training::{All, Bias};
    macro_rules! golden {
        ($name:literal) => {
            [
                include_bytes!(concat!("../../../tests/golden/train/", $name, "-classes.bin")),
                include_bytes!(concat!("../../../tests/golden/train/", $name, "-values.bin")),
            ]
        };
    }
    let (rows, columns) = square(6, 3, 1, 1);
    vec![
        Case {
            name: "pictures",
            golden: golden!("pictures"),
            layers: vec![
                Layer::Conv(conv(square(8, 3, 1, 1), 3, 8), All),
                Layer::GroupNorm(norm(64, 8, 2), All),
                Layer::Relu { len: 64 * 8 },
                Layer::MaxPool(pool(square(8, 3, 2, 0), 8)),
                Layer::Conv(conv(square(3, 3, 2, 1), 8, 6), All),
                Layer::Relu { len: 24 },
                Layer::Conv(Conv::dense(24, 5), All),
            ],
        },
        Case {
            name: "depthwise",
            golden: golden!("depthwise"),
            layers: vec![
                Layer::Depthwise(Depthwise { rows, columns, channels: 4 }, All),
                Layer::Relu { len: 36 * 4 },
                Layer::Conv(conv(square(6, 1, 1, 0), 4, 8), All),
                Layer::GroupNorm(norm(36, 8, 4), All),
                Layer::Relu { len: 36 * 8 },
                Layer::MeanPool(pool(square(6, 3, 2, 1), 8)),
                Layer::Conv(Conv::dense(72, 4), All),
            ],
        },
        Case {
            name: "biases",
            golden: golden!("biases"),
            layers: vec![
                Layer::Conv(Conv::dense(16, 9), Bias),
                Layer::Relu { len: 9 },
                Layer::Conv(Conv::dense(9, 3), All),
            ],
        },
    ]
}

fn numbers(seed: u64, count: usize, scale: f32) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..count).map(|_| scale * (2.0 * random.unit() - 1.0)).collect()
}

fn close(what: &str, got: &[f32], want: &[f32]) -> f32 {
    let largest = want.iter().fold(1f32, |most, v| most.max(v.abs()));
    let far = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / largest;
    assert!(got.len() == want.len() && far < TOLERANCE, "{what}: {far:e}");
    far
}

#[test]
fn training_is_that_of_pytorch() {
    for Case { name, golden, layers } in networks() {
        let network = Network::new(&layers).unwrap();
        let frozen = numbers(2, network.frozen(), 0.5);
        let samples = numbers(3, BATCHES * BATCH * network.input(), 1.0);
        let values = numbers(4, BATCHES * BATCH * network.output(), 1.0);
        for (kind, golden) in ["classes", "values"].into_iter().zip(golden) {
            let golden: Vec<f32> = golden.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
            let (losses, rest) = golden.split_at(BATCHES * BATCH);
            let (gradients, parameters) = rest.split_at(network.trained());
            let mut memory = vec![0.0; network.memory(true).total() / 4];
            let mut trainer = Trainer::new(network, &frozen, &mut memory, true).unwrap();
            trainer.parameters_mut().copy_from_slice(&numbers(1, network.trained(), 0.5));
            let mut told = Vec::new();
            let sets = samples.chunks(network.input()).zip(values.chunks(network.output()));
            for (n, (sample, values)) in sets.enumerate() {
                let class = Target::Class(n * 7 % network.output());
                let target = if kind == "classes" { class } else { Target::Values(values) };
                told.push(trainer.learn(sample, target).unwrap());
                if n + 1 == BATCH {
                    let mean: Vec<f32> = trainer.gradients().iter().map(|g| g / BATCH as f32).collect();
                    let far = close(name, &mean, gradients);
                    println!("{name}, {kind}: gradients at most {far:e} off");
                }
                if (n + 1) % BATCH == 0 {
                    trainer.update(&Sgd { rate: 0.05, momentum: 0.9, decay: 0.01 }).unwrap();
                }
            }
            close(name, &told, losses);
            let far = close(name, trainer.parameters(), parameters);
            println!("{name}, {kind}: parameters after {BATCHES} updates at most {far:e} off");
        }
    }
}
