//! Quantization-aware scaling (Lin et al., On-Device Training Under 256KB Memory, 2022, section 3.1): int8 weights `c` that stand
//! for `s_w * c`, and biases `d` that stand for `s_x * s_w * d`, are trained by gradients over `s_w^2` and `(s_x * s_w)^2`.
//! Written out, the scales cancel: `s_w * (c - rate * (s_w * g) / s_w^2) = s_w * c - rate * g`. So a trainer that keeps what codes
//! stand for, as this one does, takes the same way without any scaling. Here codes are trained in f64, by finite differences.

use super::{numbers, reference};
use mote_runtime::random::Random;
use mote_runtime::train::{Conv, Layer, Network, Sgd, Target, Trainer, Training};

const UPDATES: usize = 8;
const BATCH: usize = 3;
const SGD: Sgd = Sgd { rate: 0.05, momentum: 0.9, decay: 0.0 };

/// Codes after training, as what they stand for; `scaled`: with the scaling of the gradients.
fn codes(layers: &[Layer], begin: &[f32], scales: &[f64], samples: &[Vec<f32>], scaled: bool) -> Vec<f64> {
    let mut codes: Vec<f64> = begin.iter().zip(scales).map(|(v, s)| f64::from(*v) / s).collect();
    let real = |codes: &[f64]| codes.iter().zip(scales).map(|(c, s)| c * s).collect::<Vec<f64>>();
    let mut momentum = vec![0.0; codes.len()];
    for batch in samples.chunks(BATCH) {
        let loss = |codes: &[f64]| {
            let losses = batch.iter().enumerate().map(|(class, sample)| {
                reference::loss(layers, &real(codes), &[], sample, Target::Class(class))
            });
            losses.sum::<f64>() / BATCH as f64
        };
        let mut moved = codes.clone();
        let slopes: Vec<f64> = (0..codes.len())
            .map(|i| {
                // The same step in what it stands for, whatever the scale.
                let step = 1e-6 / scales[i];
                moved[i] = codes[i] + step;
                let above = loss(&moved);
                moved[i] = codes[i] - step;
                let slope = (above - loss(&moved)) / (2.0 * step);
                moved[i] = codes[i];
                if scaled { slope / (scales[i] * scales[i]) } else { slope }
            })
            .collect();
        for ((code, velocity), slope) in codes.iter_mut().zip(&mut momentum).zip(slopes) {
            *velocity = f64::from(SGD.momentum) * *velocity + slope;
            *code -= f64::from(SGD.rate) * *velocity;
        }
    }
    real(&codes)
}

#[test]
fn scaled_gradients_of_codes_do_what_gradients_of_numbers_do() {
    let layers = [
        Layer::Conv(Conv::dense(6, 5), Training::All),
        Layer::Relu { len: 5 },
        Layer::Conv(Conv::dense(5, 3), Training::All),
    ];
    let network = Network::new(&layers).unwrap();
    let mut random = Random::new(21);
    // Of each output channel its own: about those of int8 layers. Inputs have 1/20 and 1/10.
    let mut scales = Vec::new();
    for (inputs, outputs, input) in [(6, 5, 0.05), (5, 3, 0.1)] {
        let channels: Vec<f64> =
            (0..outputs).map(|_| 0.002 * (1.0 + 4.0 * f64::from(random.unit()))).collect();
        (0..inputs).for_each(|_| scales.extend(&channels));
        scales.extend(channels.iter().map(|scale| input * scale));
    }
    let samples: Vec<Vec<f32>> = (0..UPDATES * BATCH).map(|_| numbers(&mut random, 6)).collect();
    let mut memory = vec![0.0; network.memory(true).total() / 4];
    let mut trainer = Trainer::new(network, &[], &mut memory, true).unwrap();
    trainer.initialize(4);
    // Whole codes to begin with.
    let whole = |v: &f32, s: &f64| ((f64::from(*v) / s).round() * s) as f32;
    let begin: Vec<f32> = trainer.parameters().iter().zip(&scales).map(|(v, s)| whole(v, s)).collect();
    trainer.parameters_mut().copy_from_slice(&begin);
    for batch in samples.chunks(BATCH) {
        for (class, sample) in batch.iter().enumerate() {
            trainer.learn(sample, Target::Class(class)).unwrap();
        }
        trainer.update(&SGD).unwrap();
    }
    let far = |codes: &[f64]| {
        let pairs = trainer.parameters().iter().zip(codes);
        pairs.map(|(a, b)| (f64::from(*a) - b).abs()).fold(0.0, f64::max)
    };
    let moved = far(&begin.iter().map(|v| f64::from(*v)).collect::<Vec<_>>());
    let (scaled, plain) =
        [true, false].map(|scaled| far(&codes(&layers, &begin, &scales, &samples, scaled))).into();
    println!(
        "numbers moved by {moved:.3}; codes with scaled gradients are {scaled:.1e} off, without {plain:.3}"
    );
    assert!(scaled < 1e-5 && plain > 0.9 * moved, "{scaled} {plain} {moved}");
}
