//! What the quantization did, and what it cost.

use super::domain::Domain;
use super::measure::Energy;
use super::rewrite::Layer;
use super::{Calibration, Method};
use crate::graph::{Graph, Quant, TensorId};
use std::collections::HashMap;
use std::fmt;

/// Figures of a quantization.
#[derive(Clone, Debug, Default)]
pub struct Report {
    pub method: Method,
    /// Calibration samples.
    pub samples: usize,
    /// Pairs of layers between which scales were moved.
    pub equalized: usize,
    /// Layers whose weights were rounded by what that does to their output.
    pub rounded: usize,
    /// Layers whose bias was corrected.
    pub corrected: usize,
    /// All nodes that compute int8, in the network's order.
    pub nodes: Vec<NodeReport>,
    /// All others.
    pub float_nodes: Vec<FloatNode>,
    /// Signal-to-noise of each graph output against the float network, in decibels.
    pub outputs: Vec<(String, f64)>,
}

/// One int8 node.
#[derive(Clone, Debug)]
pub struct NodeReport {
    pub node: String,
    pub op: &'static str,
    /// Name of the tensor that it computes.
    pub output: String,
    pub scale: f32,
    pub zero_point: i32,
    /// Real values of the codes -128 and 127.
    pub range: (f32, f32),
    /// Signal-to-noise of its weights, in decibels.
    pub weight_snr: Option<f64>,
    /// Signal-to-noise of its output against the float network on the calibration samples, in decibels: what all
    /// nodes up to here have cost. If an elementwise function is the only reader, as this function sees it.
    pub snr: Option<f64>,
    /// How many decibels it lost against the worst of its inputs.
    pub loss: Option<f64>,
}

/// One node that stayed float.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloatNode {
    pub node: String,
    pub op: &'static str,
    pub reason: String,
}

impl Report {
    /// The nodes with the noisiest outputs, worst first.
    pub fn worst(&self, count: usize) -> Vec<&NodeReport> {
        let mut nodes: Vec<_> = self.nodes.iter().filter(|node| node.snr.is_some()).collect();
        nodes.sort_by(|a, b| a.snr.unwrap_or(f64::INFINITY).total_cmp(&b.snr.unwrap_or(f64::INFINITY)));
        nodes.truncate(count);
        nodes
    }

    /// The nodes that add most noise to what they read, worst first.
    pub fn losing(&self, count: usize) -> Vec<&NodeReport> {
        let mut nodes: Vec<_> = self.nodes.iter().filter(|node| node.loss.is_some()).collect();
        nodes.sort_by(|a, b| b.loss.unwrap_or(0.0).total_cmp(&a.loss.unwrap_or(0.0)));
        nodes.truncate(count);
        nodes
    }

    /// Signal-to-noise of the noisiest output, in decibels.
    pub fn output_snr(&self) -> Option<f64> {
        self.outputs.iter().map(|(_, snr)| *snr).min_by(f64::total_cmp)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, samples, equalized, rounded, corrected, .. } = self;
        let (int8, float) = (self.nodes.len(), self.float_nodes.len());
        writeln!(f, "  int8    {int8} nodes, {float} stay float; {samples} samples, ranges by {method}")?;
        writeln!(
            f,
            "          {rounded} layers' weights rounded by their output's error, {corrected} biases corrected, \
             {equalized} pairs of layers equalized"
        )?;
        for (output, snr) in &self.outputs {
            writeln!(f, "          `{output}` has {snr:.1} dB signal to noise against the float network")?;
        }
        writeln!(f, "          the noisiest nodes, with what their codes can hold:")?;
        for node in self.worst(5) {
            let (name, op, snr) = (&node.node, node.op, node.snr.unwrap_or(f64::INFINITY));
            writeln!(f, "    {snr:>6.1} dB  {:>9.3} .. {:<9.3} {name} ({op})", node.range.0, node.range.1)?;
        }
        for FloatNode { node, op, reason } in &self.float_nodes {
            writeln!(f, "          {node} ({op}) stays float: {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Method::MinMax => write!(f, "min-max"),
            Method::Percentile(percent) => write!(f, "percentile {percent}"),
            Method::Mse => write!(f, "mean squared error"),
        }
    }
}

/// Gathers the figures.
pub(super) fn report(
    float: &Graph,
    int8: &Graph,
    domain: &Domain,
    calibration: &Calibration,
    equalized: usize,
    layers: &HashMap<usize, Layer>,
    noise: &HashMap<TensorId, Energy>,
) -> Report {
    let decibels = |id: TensorId| noise.get(&id).map(|energy| energy.decibels()).filter(|snr| !snr.is_nan());
    let mut nodes = Vec::new();
    let mut float_nodes = Vec::new();
    for (index, node) in float.nodes.iter().enumerate() {
        let (name, op, output) = (node.name.clone(), node.op.name(), node.outputs[0]);
        if let Err(reason) = &domain.nodes[index] {
            float_nodes.push(FloatNode { node: name, op, reason: reason.clone() });
            continue;
        }
        let quant = int8.tensor(output).quant.as_ref().and_then(Quant::uniform);
        let (scale, zero_point) = quant.unwrap_or((1.0, 0));
        let real = |code: i32| scale * (code - zero_point) as f32;
        let snr = decibels(output);
        let inputs = node.inputs.iter().filter_map(|&id| decibels(id)).min_by(f64::total_cmp);
        nodes.push(NodeReport {
            node: name,
            op,
            output: float.tensor(output).name.clone(),
            scale,
            zero_point,
            range: (real(-128), real(127)),
            weight_snr: layers.get(&index).map(|layer| layer.weights.decibels()),
            snr,
            loss: inputs.zip(snr).map(|(before, after)| before - after),
        });
    }
    let output = |&id: &TensorId| Some((float.tensor(id).name.clone(), decibels(id)?));
    Report {
        method: calibration.method,
        samples: calibration.samples.len(),
        equalized,
        rounded: layers.values().filter(|layer| layer.rounded).count(),
        corrected: layers.values().filter(|layer| layer.corrected).count(),
        nodes,
        float_nodes,
        outputs: float.outputs.iter().filter_map(output).collect(),
    }
}
