//! What layers mean, in `f64`, one sum an element.

use mote_runtime::train::{Axis, Layer, Pool, Target, Training};

pub fn loss(layers: &[Layer], trained: &[f64], frozen: &[f32], input: &[f32], target: Target<'_>) -> f64 {
    let y = answer(layers, trained, frozen, input);
    match target {
        Target::Class(class) => y.iter().map(|y| y.exp()).sum::<f64>().ln() - y[class],
        Target::Values(t) => {
            y.iter().zip(t).map(|(y, t)| (y - f64::from(*t)).powi(2)).sum::<f64>() / y.len() as f64
        }
    }
}

pub fn answer(layers: &[Layer], trained: &[f64], frozen: &[f32], input: &[f32]) -> Vec<f64> {
    let frozen: Vec<f64> = frozen.iter().map(|x| f64::from(*x)).collect();
    let (mut trained, mut frozen) = (trained, &frozen[..]);
    let mut x: Vec<f64> = input.iter().map(|x| f64::from(*x)).collect();
    for layer in layers {
        let (weights, biases) = layer.parameters();
        let w = take(if layer.training() == Training::All { &mut trained } else { &mut frozen }, weights);
        let b = take(if layer.training() == Training::Nothing { &mut frozen } else { &mut trained }, biases);
        x = match layer {
            Layer::Conv(l, _) => windows(l.rows, l.columns, |_, y, taps| {
                let (c, o) = (l.channels, l.outputs);
                y.extend((0..o).map(|o_| {
                    let products = taps.iter().flat_map(|(at, tap)| {
                        let (x, w) = (&x, &w);
                        (0..c).map(move |c_| x[at * c + c_] * w[(tap * c + c_) * o + o_])
                    });
                    b[o_] + products.sum::<f64>()
                }));
            }),
            Layer::Depthwise(l, _) => windows(l.rows, l.columns, |_, y, taps| {
                let c = l.channels;
                y.extend((0..c).map(|c_| {
                    b[c_] + taps.iter().map(|(at, tap)| x[at * c + c_] * w[tap * c + c_]).sum::<f64>()
                }));
            }),
            Layer::GroupNorm(l, _) => {
                let width = l.channels / l.groups;
                let group = |g: usize| (0..x.len()).filter(move |i| i % l.channels / width == g);
                let mut y = vec![0.0; x.len()];
                for g in 0..l.groups {
                    let n = group(g).count() as f64;
                    let mean = group(g).map(|i| x[i]).sum::<f64>() / n;
                    let variance = group(g).map(|i| (x[i] - mean).powi(2)).sum::<f64>() / n;
                    for i in group(g) {
                        let c = i % l.channels;
                        y[i] = (x[i] - mean) / (variance + f64::from(l.epsilon)).sqrt() * w[c] + b[c];
                    }
                }
                y
            }
            Layer::Relu { .. } => x.iter().map(|x| x.max(0.0)).collect(),
            Layer::MaxPool(l) => {
                pooled(l, &x, |values| values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
            }
            Layer::MeanPool(l) => pooled(l, &x, |values| values.iter().sum::<f64>() / values.len() as f64),
            _ => panic!("another layer"),
        };
    }
    assert!(trained.is_empty() && frozen.is_empty());
    x
}

fn take(source: &mut &[f64], count: usize) -> Vec<f64> {
    let (taken, rest) = source.split_at(count);
    *source = rest;
    taken.to_vec()
}

fn pooled(l: &Pool, x: &[f64], of: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    windows(l.rows, l.columns, |_, y, taps| {
        for c in 0..l.channels {
            let values: Vec<_> = taps.iter().map(|(at, _)| x[at * l.channels + c]).collect();
            y.push(of(&values));
        }
    })
}

/// Calls with (place in the input, place in the window) of each that exists, position by position.
fn windows(
    rows: Axis,
    columns: Axis,
    mut each: impl FnMut(usize, &mut Vec<f64>, &[(usize, usize)]),
) -> Vec<f64> {
    let positions = |axis: Axis| (axis.input + axis.before + axis.after - axis.window) / axis.stride + 1;
    let mut y = Vec::new();
    for row in 0..positions(rows) {
        for column in 0..positions(columns) {
            let mut taps = Vec::new();
            for line in 0..rows.window {
                for tap in 0..columns.window {
                    let at =
                        (row * rows.stride + line).checked_sub(rows.before).filter(|at| *at < rows.input);
                    let to = (column * columns.stride + tap)
                        .checked_sub(columns.before)
                        .filter(|at| *at < columns.input);
                    if let (Some(at), Some(to)) = (at, to) {
                        taps.push((at * columns.input + to, line * columns.window + tap));
                    }
                }
            }
            each(row * positions(columns) + column, &mut y, &taps);
        }
    }
    y
}
