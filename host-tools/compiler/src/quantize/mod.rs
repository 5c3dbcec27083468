//! Post-training quantization: a float network and samples of its inputs to an int8 network.
//!
//! ```text
//! equalize    scales moved between neighbouring layers                     (equalize)
//! observe     the float network runs on the samples                        (activations, observe, histogram)
//! domain      which nodes become int8, which tensors share a quantization  (domain)
//! ranges      clipping, scales and zero points                             (ranges)
//! rewrite     the int8 graph; weights per channel                          (rewrite, weights)
//! correct     weights rounded by the layer's error, biases; layer by layer  (correct, windows, round)
//! measure     signal-to-noise of every tensor against the float network    (measure)
//! ```
//!
//! Weights are symmetric int8 per output channel, biases int32 at the accumulator's scale, activations asymmetric
//! int8 per tensor with zero among the codes. Nodes without a meaningful int8 form stay float between
//! [`Op::Dequantize`](crate::graph::Op::Dequantize) and [`Op::Quantize`](crate::graph::Op::Quantize);
//! [`Report`] names them. Called by [`crate::convert`], which can also [`narrow`] the weights of a network that is int8 already.

mod activations;
mod correct;
mod domain;
mod equalize;
mod histogram;
mod measure;
mod narrow;
mod observe;
mod ranges;
mod report;
mod rewrite;
mod round;
mod weights;
mod windows;

#[cfg(test)]
mod tests;

pub use activations::{Activations, Evaluator, Runtime};
pub use narrow::{WeightBits, narrow};
pub use report::{FloatNode, NodeReport, Report};

use crate::graph::eval::EvalError;
use crate::graph::{DType, Graph};

/// What the network is calibrated with, and how.
#[derive(Clone, Debug)]
pub struct Calibration {
    /// Sample, then graph input, then the values in the input's layout.
    pub samples: Vec<Vec<Vec<f32>>>,
    pub method: Method,
    pub weights: WeightBits,
    /// Moves scales between neighbouring layers, so that the channels of a tensor have similar ranges.
    pub equalize: bool,
    /// Rounds weights by what that does to their layer's output, not each to the nearest code.
    pub round_by_error: bool,
    /// Takes the mean error that quantization causes out of the biases.
    pub correct_bias: bool,
    /// Names of nodes that shall not become int8.
    pub keep_float: Vec<String>,
}

/// How the range of an activation follows from its values.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Method {
    /// From the smallest to the largest value.
    MinMax,
    /// Keeps this percentage of the values (`99.99`); equal shares at both ends are clipped.
    Percentile(f32),
    /// Clips where the mean squared error of rounding and clipping together is least. The network's outputs are not
    /// clipped and have a margin for what few samples do not show: the largest of them is often the answer.
    #[default]
    Mse,
}

impl Default for Calibration {
    /// The usual choices, without samples.
    fn default() -> Self {
        Self {
            samples: Vec::new(),
            method: Method::default(),
            weights: WeightBits::default(),
            equalize: false,
            round_by_error: true,
            correct_bias: true,
            keep_float: Vec::new(),
        }
    }
}

impl Calibration {
    /// The usual choices for these samples.
    pub fn new(samples: Vec<Vec<Vec<f32>>>) -> Self {
        Self { samples, ..Self::default() }
    }

    /// Uniform random samples between -1 and 1: enough to try things out, not for a network that shall be used.
    pub fn random(graph: &Graph, count: usize, seed: u64) -> Self {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        let mut sample = || -> Vec<Vec<f32>> {
            graph.inputs.iter().map(|&id| (0..graph.tensor(id).len()).map(|_| next()).collect()).collect()
        };
        Self::new((0..count).map(|_| sample()).collect())
    }

    pub fn with_method(self, method: Method) -> Self {
        Self { method, ..self }
    }
}

/// Why a network could not be quantized.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QuantizeError {
    #[error(
        "no calibration samples: the ranges of the activations are measured on them; a few dozen typical inputs \
         are enough"
    )]
    NoSamples,
    #[error("sample {sample} has {given} inputs, the network has {expected}")]
    InputCount { sample: usize, given: usize, expected: usize },
    #[error("sample {sample}: input `{input}` has {given} values, the network needs {expected}")]
    InputLength { sample: usize, input: String, given: usize, expected: usize },
    #[error("sample {sample}: value {index} of input `{input}` is {value}")]
    NotFinite { sample: usize, input: String, index: usize, value: f32 },
    #[error("a percentile of {0} keeps nothing; it lies above 50 and at most at 100")]
    Percentile(f32),
    #[error("no node is named `{0}`, which was to be kept float")]
    UnknownNode(String),
    #[error("`{0}` is quantized already")]
    AlreadyQuantized(String),
    #[error("constant `{0}` holds values that are not finite")]
    Weights(String),
    #[error("node `{node}` computes {value} in `{tensor}` from sample {sample}")]
    Overflow { node: String, tensor: String, sample: usize, value: f32 },
    #[error(transparent)]
    Eval(#[from] EvalError),
    #[error("the network could not be run for calibration: {0}")]
    Run(String),
}

/// The int8 form of a float network.
pub fn quantize(graph: &Graph, calibration: &Calibration) -> Result<(Graph, Report), QuantizeError> {
    check(graph, calibration)?;
    let mut float = graph.clone();
    let equalized = if calibration.equalize { equalize::equalize(&mut float) } else { 0 };
    let observed = observe::observe(&float, &calibration.samples)?;
    let domain = domain::decide(&float, &calibration.keep_float);
    let ranges = ranges::choose(&float, &domain, &observed, calibration.method);
    let (mut int8, mut layers) = rewrite::rewrite(&float, &domain, &ranges, calibration.weights);
    if calibration.round_by_error || calibration.correct_bias {
        let fewer;
        let seen = if calibration.samples.len() > correct::SAMPLES {
            fewer = observe::observe(&float, &calibration.samples[..correct::SAMPLES])?;
            &fewer
        } else {
            &observed
        };
        correct::correct(&float, &mut int8, seen, calibration, &mut layers)?;
    }
    let noise = measure::compare(&float, &int8, calibration)?;
    let report = report::report(&float, &int8, &domain, calibration, equalized, &layers, &noise);
    Ok((int8, report))
}

fn check(graph: &Graph, calibration: &Calibration) -> Result<(), QuantizeError> {
    let quantized = |id: usize| graph.tensors[id].quant.is_some();
    if let Some(id) = (0..graph.tensors.len()).find(|&id| quantized(id)) {
        return Err(QuantizeError::AlreadyQuantized(graph.tensors[id].name.clone()));
    }
    let constants = graph.tensors.iter().filter_map(|t| Some((t, t.data.as_ref()?.as_f32()?)));
    for (tensor, values) in constants {
        let used =
            || graph.nodes.iter().any(|n| n.inputs.iter().any(|&id| std::ptr::eq(graph.tensor(id), tensor)));
        if !values.iter().all(|x| x.is_finite()) && used() {
            return Err(QuantizeError::Weights(tensor.name.clone()));
        }
    }
    if let Method::Percentile(percent) = calibration.method
        && !(percent > 50.0 && percent <= 100.0)
    {
        return Err(QuantizeError::Percentile(percent));
    }
    if let Some(name) =
        calibration.keep_float.iter().find(|name| !graph.nodes.iter().any(|n| n.name == **name))
    {
        return Err(QuantizeError::UnknownNode(name.clone()));
    }
    if calibration.samples.is_empty() {
        return Err(QuantizeError::NoSamples);
    }
    let expected = graph.inputs.len();
    for (sample, inputs) in calibration.samples.iter().enumerate() {
        if inputs.len() != expected {
            return Err(QuantizeError::InputCount { sample, given: inputs.len(), expected });
        }
        for (values, &id) in inputs.iter().zip(&graph.inputs) {
            let (tensor, given) = (graph.tensor(id), values.len());
            let input = || tensor.name.clone();
            if given != tensor.len() {
                return Err(QuantizeError::InputLength {
                    sample,
                    input: input(),
                    given,
                    expected: tensor.len(),
                });
            }
            if let Some(index) = values.iter().position(|x| !x.is_finite()) {
                return Err(QuantizeError::NotFinite { sample, input: input(), index, value: values[index] });
            }
        }
    }
    Ok(())
}

/// Whether a tensor holds real numbers that are computed at run time.
fn is_activation(graph: &Graph, id: crate::graph::TensorId) -> bool {
    let tensor = graph.tensor(id);
    !tensor.is_constant() && tensor.dtype == DType::F32
}
