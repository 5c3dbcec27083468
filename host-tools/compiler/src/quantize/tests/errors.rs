//! Refusals.

use super::*;

fn refusal(change: impl FnOnce(&mut Graph, &mut Calibration)) -> QuantizeError {
    let mut graph = classifier(21);
    let mut calibration = Calibration::new(samples(&graph, 2, 1));
    change(&mut graph, &mut calibration);
    quantize(&graph, &calibration).unwrap_err()
}

#[test]
fn samples_must_be_there_and_fit() {
    let error = refusal(|_, c| c.samples.clear());
    assert!(matches!(error, QuantizeError::NoSamples));
    assert!(error.to_string().contains("typical inputs"));
    let error = refusal(|_, c| c.samples[1].push(vec![]));
    assert!(matches!(error, QuantizeError::InputCount { sample: 1, given: 2, expected: 1 }));
    let error = refusal(|_, c| c.samples[1][0].truncate(5));
    assert!(matches!(error, QuantizeError::InputLength { sample: 1, given: 5, expected: 192, .. }));
    let error = refusal(|_, c| c.samples[0][0][17] = f32::NAN);
    assert!(matches!(error, QuantizeError::NotFinite { sample: 0, index: 17, .. }));
}

#[test]
fn options_must_make_sense() {
    for percent in [0.0, 50.0, 100.1, f32::NAN] {
        assert!(matches!(
            refusal(|_, c| c.method = Method::Percentile(percent)),
            QuantizeError::Percentile(_)
        ));
    }
    let error = refusal(|_, c| c.keep_float.push("nobody".into()));
    assert!(matches!(error, QuantizeError::UnknownNode(name) if name == "nobody"));
}

#[test]
fn the_network_must_be_float_and_finite() {
    let error = refusal(|g, _| g.tensors[0].quant = Some(crate::graph::Quant::per_tensor(0.1, 0)));
    assert!(matches!(error, QuantizeError::AlreadyQuantized(name) if name == "input"));
    let error = refusal(|g, _| {
        let weights = g.nodes[0].inputs[1];
        g.tensor_mut(weights).data = Some(Data::F32(vec![f32::INFINITY; 216].into()));
    });
    assert!(matches!(error, QuantizeError::Weights(_)));
    let error = refusal(|_, c| c.samples[1][0].fill(f32::MAX));
    assert!(matches!(error, QuantizeError::Overflow { sample: 1, .. }), "{error}");
}

#[test]
fn random_samples_fit() {
    let graph = classifier(22);
    let (_, report) = quantize(&graph, &Calibration::random(&graph, 4, 7)).unwrap();
    assert_eq!((report.samples, report.method), (4, Method::Mse));
    assert!(report.output_snr().unwrap() > 25.0);
    assert_eq!(report.worst(3).len(), 3);
    assert!(report.to_string().contains("dB"));
}
