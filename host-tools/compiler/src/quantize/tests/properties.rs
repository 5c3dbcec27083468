//! Properties of single techniques.

use super::*;

/// Widely different channels between two layers.
fn unbalanced() -> Graph {
    let mut graph = classifier(11);
    for (node, invert) in [(0, false), (1, true)] {
        let weights = graph.nodes[node].inputs[1];
        let bias = graph.nodes[node].inputs[2];
        let per_channel = graph.tensor(weights).len() / 8;
        let scale = |channel: usize| 10f32.powi(channel as i32 % 4 - 2);
        let values: Vec<f32> = graph.tensor(weights).data.as_ref().unwrap().to_f32();
        let scaled = values.iter().enumerate().map(|(i, w)| {
            let s = scale(i / per_channel);
            if invert { w / s } else { w * s }
        });
        graph.tensor_mut(weights).data = Some(Data::F32(scaled.collect()));
        if !invert {
            let values = graph.tensor(bias).data.as_ref().unwrap().to_f32();
            let scaled = values.iter().enumerate().map(|(i, b)| b * scale(i));
            graph.tensor_mut(bias).data = Some(Data::F32(scaled.collect()));
        }
    }
    graph
}

#[test]
fn equalization_keeps_the_function_and_balances_the_channels() {
    let graph = unbalanced();
    let mut equal = graph.clone();
    assert_eq!(equalize::equalize(&mut equal), 2);
    for sample in samples(&graph, 4, 3) {
        let (before, after) = (outputs(&graph, &sample), outputs(&equal, &sample));
        let range = before.iter().fold(0.0f32, |range, x| range.max(x.abs()));
        for (a, b) in before.iter().zip(&after) {
            assert!((a - b).abs() <= 1e-5 * range, "{a} {b}");
        }
    }
    let weights = equal.tensor(equal.nodes[0].inputs[1]).data.as_ref().unwrap().to_f32();
    let largest: Vec<f32> =
        weights.chunks(weights.len() / 8).map(|w| w.iter().fold(0.0, |l: f32, x| l.max(x.abs()))).collect();
    let (low, high) = largest.iter().fold((f32::INFINITY, 0.0f32), |(a, b), &x| (a.min(x), b.max(x)));
    assert!(high / low < 20.0, "{largest:?}");

    let calibration = Calibration::new(samples(&graph, 16, 5));
    let (_, plain) = quantize(&graph, &calibration).unwrap();
    let (_, equalized) = quantize(&graph, &Calibration { equalize: true, ..calibration }).unwrap();
    assert_eq!(equalized.equalized, 2);
    let (plain, equalized) = (plain.output_snr().unwrap(), equalized.output_snr().unwrap());
    assert!(equalized > plain + 3.0, "{plain:.1} dB, equalized {equalized:.1} dB");
}

#[test]
fn rounding_by_error_gains_on_samples_that_it_has_not_seen() {
    // Values that move together, so that the errors of weights can cancel.
    let mut b = Builder::new(21);
    let x = b.input(&[1, 96]);
    let y = b.dense(x, 8);
    let graph = b.finish(y);
    let related = |count: usize, seed: u64| {
        let mut all = samples(&graph, count, seed);
        for sample in &mut all {
            let causes = sample[0][..4].to_vec();
            let value = |(i, x): (usize, &mut f32)| *x = causes[i % 4] + causes[i / 5 % 4] + 0.3 * *x;
            sample[0].iter_mut().enumerate().for_each(value);
        }
        all
    };
    let unseen = related(200, 99);
    let weights = |graph: &Graph| {
        let tensor = graph.tensor(graph.nodes.iter().find(|node| node.op == Op::Dense).unwrap().inputs[1]);
        let scales = tensor.quant.as_ref().map_or(vec![1.0; 8], |quant| quant.scales.clone());
        let values = tensor.data.as_ref().unwrap().to_f32();
        values.iter().enumerate().map(|(i, w)| w * scales[i / 96]).collect::<Vec<f32>>()
    };
    let exact = weights(&graph);
    // What the weights alone add to the outputs.
    let noise = |round_by_error: bool| -> f64 {
        let calibration = Calibration { round_by_error, ..Calibration::new(related(256, 5)) };
        let (int8, report) = quantize(&graph, &calibration).unwrap();
        assert_eq!(report.rounded, usize::from(round_by_error));
        let errors: Vec<f32> = weights(&int8).iter().zip(&exact).map(|(q, w)| q - w).collect();
        let error =
            |e: &[f32], x: &[f32]| f64::from(e.iter().zip(x).map(|(e, x)| e * x).sum::<f32>()).powi(2);
        unseen.iter().flat_map(|x| errors.chunks(96).map(|e| error(e, &x[0]))).sum()
    };
    let (nearest, rounded) = (noise(false), noise(true));
    assert!(rounded < 0.5 * nearest, "{nearest:e} with the nearest codes, {rounded:e}");
}

#[test]
fn bias_correction_lowers_the_mean_error() {
    // Few, coarse weights and inputs with large means: a bias error that rounding noise does not hide.
    let mut b = Builder::new(12);
    let x = b.input(&[1, 64]);
    let y = b.dense(x, 8);
    let graph = b.finish(y);
    let mut calibration = Calibration::new(samples(&graph, 64, 5));
    calibration.samples.iter_mut().for_each(|s| s[0].iter_mut().for_each(|x| *x = 3.0 + 0.3 * *x));
    calibration.correct_bias = false;
    let mean_error = |calibration: &Calibration| -> f64 {
        let (int8, _) = quantize(&graph, calibration).unwrap();
        let mut errors = [0.0f64; 8];
        for sample in &calibration.samples {
            let pairs = outputs(&graph, sample).into_iter().zip(outputs(&int8, sample));
            errors.iter_mut().zip(pairs).for_each(|(e, (a, b))| *e += f64::from(b - a));
        }
        errors.iter().map(|e| (e / 64.0).abs()).sum()
    };
    let plain = mean_error(&calibration);
    calibration.correct_bias = true;
    let corrected = mean_error(&calibration);
    assert!(corrected < 0.5 * plain, "{plain} became {corrected}");
}

#[test]
fn both_ways_of_running_agree() {
    let graph = classifier(13);
    let sample = &samples(&graph, 1, 3)[0];
    let collect = |network: &mut dyn Activations| {
        let mut all = std::collections::BTreeMap::new();
        network.run(sample, &mut |id, values| drop(all.insert(id, values.to_vec()))).unwrap();
        all
    };
    let slow = collect(&mut Evaluator(&graph));
    let fast = collect(&mut Runtime::new(&graph).unwrap());
    assert_eq!(slow.keys().collect::<Vec<_>>(), fast.keys().collect::<Vec<_>>());
    for (a, b) in slow.values().flatten().zip(fast.values().flatten()) {
        assert!((a - b).abs() < 1e-4);
    }
}

#[test]
fn every_method_works_and_outliers_want_clipping() {
    let graph = classifier(14);
    let mut wild = samples(&graph, 16, 5);
    wild[3][0][7] = 200.0;
    let snr = |method| {
        let calibration = Calibration::new(wild.clone()).with_method(method);
        let (_, report) = quantize(&graph, &calibration).unwrap();
        report.nodes[0].range.1
    };
    let full = snr(Method::MinMax);
    assert!(snr(Method::Percentile(98.0)) < 0.5 * full);
    assert!(snr(Method::Mse) <= full * 1.001);
}

#[test]
fn weights_of_seven_bits_where_channels_mix() {
    let mut b = Builder::new(21);
    let x = b.input(&[1, 8, 8, 8]);
    let y = b.conv(x, 16, 3, 1);
    b.relu();
    let y = b.conv(y, 16, 3, 16);
    let y = b.conv(y, 12, 1, 1);
    let graph = b.finish(y);
    let codes = |weights: WeightBits, round_by_error: bool| -> Vec<i8> {
        let calibration = Calibration { weights, round_by_error, ..Calibration::new(samples(&graph, 16, 3)) };
        let (int8, report) = quantize(&graph, &calibration).unwrap();
        // Half as many codes: six decibels, of weights that had over 40.
        assert!(report.nodes.iter().all(|node| node.weight_snr.is_none_or(|snr| snr > 35.0)));
        let layers = int8.nodes.iter().filter(|node| matches!(node.op, Op::Conv { .. }));
        let largest = |node: &Node| match &int8.tensor(node.inputs[1]).data {
            Some(Data::I8(codes)) => codes.iter().map(|code| code.saturating_abs()).max().unwrap(),
            _ => panic!("no codes"),
        };
        layers.map(largest).collect()
    };
    assert_eq!(codes(WeightBits::Seven, false), [63, 127, 63]);
    assert_eq!(codes(WeightBits::Eight, false), [127, 127, 127]);
    let rounded = codes(WeightBits::Seven, true);
    assert!(rounded[0] <= 63 && rounded[1] > 63 && rounded[2] <= 63, "{rounded:?}");
}
