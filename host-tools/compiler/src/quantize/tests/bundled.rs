//! The bundled CIFAR-10 network. Its accuracy on pictures is the business of `mote eval`; here it sees smooth noise.

use super::*;
use crate::import::onnx;
use crate::passes;

const NETWORK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/cifar10/cifar10_small.onnx");

/// Sums of a few waves: neighbouring positions are alike, as in pictures.
fn waves(graph: &Graph, count: usize, seed: u64) -> Vec<Vec<Vec<f32>>> {
    let mut random = Random(seed);
    let shape = graph.tensor(graph.inputs[0]).shape.clone();
    let mut sample = || {
        let mut values = vec![0.0f32; shape.iter().product()];
        for _ in 0..4 {
            let (fy, fx, phase) = (random.normal() * 0.3, random.normal() * 0.3, random.normal() * 3.0);
            let weights: Vec<f32> = (0..shape[3]).map(|_| random.normal() * 0.6).collect();
            for (i, value) in values.iter_mut().enumerate() {
                let (position, channel) = (i / shape[3], i % shape[3]);
                let (y, x) = ((position / shape[2]) as f32, (position % shape[2]) as f32);
                *value += weights[channel] * (fy * y + fx * x + phase).sin();
            }
        }
        vec![values]
    };
    (0..count).map(|_| sample()).collect()
}

#[test]
fn the_bundled_network_is_int8_throughout_and_close() {
    let mut graph = onnx::import(&std::fs::read(NETWORK).unwrap(), &Default::default()).unwrap().graph;
    passes::optimize(&mut graph);
    let (int8, report) = quantize(&graph, &Calibration::new(waves(&graph, 32, 1))).unwrap();
    assert_eq!(report.float_nodes, []);
    let mut energy = measure::Energy::default();
    for sample in waves(&graph, 16, 2) {
        energy.add(&outputs(&graph, &sample), &outputs(&int8, &sample));
    }
    assert!(energy.decibels() > 24.0, "{:.1} dB\n{report}", energy.decibels());
}
