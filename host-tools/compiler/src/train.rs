//! Networks that go on learning on the device: which layers are trained, what stays in front of them as a frozen network,
//! and the chain of layers that the training core (`mote_runtime::train`) runs in floats behind it.

use crate::graph::eval::real;
use crate::graph::{Activation, Graph, Node, Op, PoolKind, ReduceFn, Spatial, UnaryFn};
use mote_runtime::train::{Axis, Conv, Depthwise, Layer, Memory, Network, NetworkError, Pool, Training};

/// What is trained. A layer is a node with weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The last layer.
    Head,
    /// The last layer, and the biases of so many before it.
    Bias(usize),
    /// These layers, by the names of their nodes.
    Layers(Vec<String>),
    /// Every layer.
    All,
}

impl std::str::FromStr for What {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names = |names: &str| names.split(',').map(str::to_owned).collect::<Vec<_>>();
        match text.split_once(':') {
            None if text == "head" => Ok(What::Head),
            None if text == "all" => Ok(What::All),
            Some(("bias", count)) if count.parse().is_ok_and(|count: usize| count > 0) => {
                Ok(What::Bias(count.parse().unwrap_or(1)))
            }
            Some(("layers", list)) if names(list).iter().all(|name| !name.is_empty()) => {
                Ok(What::Layers(names(list)))
            }
            _ => Err("one of head, bias:COUNT, layers:NAME,NAME.., all is needed".into()),
        }
    }
}

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub what: What,
    /// Keep momentum, a number for each that is trained.
    pub momentum: bool,
}

/// The trained end of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// The first reads what the frozen network gives, or the network's input.
    pub layers: Vec<Layer>,
    /// Of each layer the node that it comes from.
    pub names: Vec<String>,
    /// The network's own numbers, to begin with, in the order of `Network::trained`; and those that stay, which lie in
    /// flash as floats.
    pub parameters: Vec<f32>,
    pub frozen: Vec<f32>,
    /// Nothing stands in front: the plan is the whole network, to run it, and training needs none of it.
    pub whole: bool,
    /// Elements of a sample of the trained end.
    pub features: usize,
    /// Bytes that training takes.
    pub memory: Memory,
}

impl Trained {
    /// Bytes beside arena and state of the frozen network: training itself, and a sample.
    pub fn bytes(&self) -> usize {
        self.memory.total() + 4 * self.features
    }
}

/// Why a network cannot be trained so.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TrainRefusal {
    #[error("a network with {0} outputs; one is trained")]
    Outputs(usize),
    #[error("a network that keeps a state from step to step")]
    States,
    #[error("{asked} layers with weights were asked for, the network has {have}")]
    Count { asked: usize, have: usize },
    #[error("no layer is called `{name}`; there are: {}", .known.join(", "))]
    Name { name: String, known: Vec<String> },
    #[error("`{node}` ({operator}) cannot be trained through: {reason}")]
    Node { node: String, operator: &'static str, reason: &'static str },
    #[error("the layers make no chain: {0}")]
    Network(NetworkError),
}

/// Cuts the trained end off a network that the passes have been over; what is left gives the features. Of an int8 network
/// the end begins with what the codes stand for, and is trained in those numbers: for codes, scaled gradients would do the
/// same (`runtime/tests/train/codes.rs`).
///
/// # Errors
/// [`TrainRefusal`]: what the training core cannot do, with the node.
pub fn split(graph: &mut Graph, options: &Options) -> Result<Trained, TrainRefusal> {
    if !graph.states.is_empty() {
        return Err(TrainRefusal::States);
    }
    let &[output] = &graph.outputs[..] else { return Err(TrainRefusal::Outputs(graph.outputs.len())) };
    let weighted: Vec<usize> =
        (0..graph.nodes.len()).filter(|&n| has_weights(graph, &graph.nodes[n])).collect();
    let wanted = wanted(graph, &weighted, &options.what)?;
    let Some(&(lowest, _)) = wanted.first() else { return Err(TrainRefusal::Count { asked: 1, have: 0 }) };
    let mut end =
        End { graph, layers: Vec::new(), names: Vec::new(), parameters: Vec::new(), frozen: Vec::new() };
    let features = graph.nodes[lowest].inputs[0];
    let mut at = features;
    for (index, node) in graph.nodes.iter().enumerate().skip(lowest) {
        let mode = wanted.iter().find(|(of, _)| *of == index).map_or(Training::Nothing, |(_, mode)| *mode);
        let alone = node.inputs.first() == Some(&at) && graph.consumers(at).len() == 1;
        let [made] = node.outputs[..] else { return Err(refuse(node, "it has several outputs")) };
        if !alone {
            return Err(refuse(
                node,
                "from the lowest trained layer on each node may read only the one before it",
            ));
        }
        end.node(node, mode, made == output)?;
        at = made;
    }
    let End { layers, names, parameters, frozen, .. } = end;
    let network = Network::new(&layers).map_err(TrainRefusal::Network)?;
    let (features_len, memory) = (network.input(), network.memory(options.momentum));
    let whole = lowest == 0;
    if !whole {
        graph.nodes.truncate(lowest);
        graph.outputs = vec![features];
        // Classes are no names of features.
        graph.labels.clear();
    }
    Ok(Trained { layers, names, parameters, frozen, whole, features: features_len, memory })
}

fn has_weights(graph: &Graph, node: &Node) -> bool {
    matches!(node.op, Op::Conv { .. } | Op::Dense)
        && node.inputs.get(1).is_some_and(|&weights| graph.tensor(weights).is_constant())
}

/// Nodes that are trained, in the graph's order.
fn wanted(graph: &Graph, weighted: &[usize], what: &What) -> Result<Vec<(usize, Training)>, TrainRefusal> {
    let last = |count: usize| {
        let first = weighted.len().checked_sub(count);
        first
            .map(|first| &weighted[first..])
            .ok_or(TrainRefusal::Count { asked: count, have: weighted.len() })
    };
    let all = |nodes: &[usize]| nodes.iter().map(|node| (*node, Training::All)).collect();
    Ok(match what {
        What::Head => all(last(1)?),
        What::All => all(weighted),
        What::Bias(count) => {
            let nodes = last(count + 1)?;
            let mode = |n: usize| if n + 1 == nodes.len() { Training::All } else { Training::Bias };
            nodes.iter().enumerate().map(|(n, node)| (*node, mode(n))).collect()
        }
        What::Layers(names) => {
            let mut nodes = Vec::new();
            for name in names {
                let found = weighted.iter().find(|node| graph.nodes[**node].name == *name);
                let known = || weighted.iter().map(|node| graph.nodes[*node].name.clone()).collect();
                nodes.push(*found.ok_or_else(|| TrainRefusal::Name { name: name.clone(), known: known() })?);
            }
            nodes.sort_unstable();
            nodes.dedup();
            all(&nodes)
        }
    })
}

fn refuse(node: &Node, reason: &'static str) -> TrainRefusal {
    TrainRefusal::Node { node: node.name.clone(), operator: node.op.name(), reason }
}

/// The chain while it is made.
struct End<'g> {
    graph: &'g Graph,
    layers: Vec<Layer>,
    names: Vec<String>,
    parameters: Vec<f32>,
    frozen: Vec<f32>,
}

impl End<'_> {
    fn push(&mut self, node: &Node, layer: Layer) {
        self.layers.push(layer);
        self.names.push(node.name.clone());
    }

    fn node(&mut self, node: &Node, mode: Training, last: bool) -> Result<(), TrainRefusal> {
        let input = &self.graph.tensor(node.inputs[0]).shape;
        let output = self.graph.tensor(node.outputs[0]);
        match &node.op {
            Op::Dense => {
                let Some(&[outputs, inputs]) = self.constant(node, 1).map(|(shape, _)| shape) else {
                    return Err(refuse(node, "its weights are not constant"));
                };
                if input.iter().product::<usize>() != inputs {
                    return Err(refuse(node, "it is applied to several positions"));
                }
                self.weights(node, mode, Conv::dense(inputs, outputs), outputs, |weights| {
                    transposed(weights, inputs)
                })?;
            }
            Op::Conv { spatial, groups } => self.convolution(node, mode, spatial, *groups)?,
            Op::Unary(UnaryFn::Relu) => self.push(node, Layer::Relu { len: output.len() }),
            Op::Pool { kind, spatial } => {
                let [rows, columns] = axes(node, spatial, input)?;
                let pool = Pool { rows, columns, channels: input[3] };
                let padded = [rows, columns].iter().any(|axis| axis.before + axis.after > 0);
                self.push(
                    node,
                    match kind {
                        PoolKind::Max => Layer::MaxPool(pool),
                        PoolKind::Average { include_padding } if !(*include_padding && padded) => {
                            Layer::MeanPool(pool)
                        }
                        PoolKind::Average { .. } => return Err(refuse(node, "padding counts in its means")),
                    },
                );
            }
            Op::Reduce { function: ReduceFn::Mean, axes, .. }
                if matches!(input[..], [1, _, _, _]) && axes[..] == [1, 2] =>
            {
                let whole = |size| Axis { input: size, window: size, stride: 1, before: 0, after: 0 };
                let (rows, columns, channels) = (whole(input[1]), whole(input[2]), input[3]);
                self.push(node, Layer::MeanPool(Pool { rows, columns, channels }));
            }
            Op::Reshape => {}
            // The loss has its own.
            Op::Softmax { axis, beta } if last && *axis + 1 == input.len() && *beta == 1.0 => {}
            _ => {
                return Err(refuse(
                    node,
                    "the training core knows convolutions, dense layers, ReLU and pools",
                ));
            }
        }
        match node.activation {
            Activation::None => Ok(()),
            Activation::Relu => {
                self.push(node, Layer::Relu { len: output.len() });
                Ok(())
            }
            _ => Err(refuse(node, "of the activations the training core knows ReLU only")),
        }
    }

    fn convolution(
        &mut self,
        node: &Node,
        mode: Training,
        spatial: &Spatial,
        groups: usize,
    ) -> Result<(), TrainRefusal> {
        let input = &self.graph.tensor(node.inputs[0]).shape;
        let [rows, columns] = axes(node, spatial, input)?;
        let channels = input[3];
        let outputs = self.graph.tensor(node.outputs[0]).shape[3];
        if groups == 1 {
            let line = rows.window * columns.window * channels;
            let conv = Conv { rows, columns, channels, outputs };
            return self.weights(node, mode, conv, outputs, |weights| transposed(weights, line));
        }
        if groups != channels || outputs != channels {
            return Err(refuse(node, "a convolution in groups"));
        }
        let (taps, depthwise) = (rows.window * columns.window, Depthwise { rows, columns, channels });
        self.numbers(node, mode, outputs, |weights| transposed(weights, taps))?;
        self.push(node, Layer::Depthwise(depthwise, mode));
        Ok(())
    }

    fn weights(
        &mut self,
        node: &Node,
        mode: Training,
        conv: Conv,
        outputs: usize,
        order: impl Fn(&[f32]) -> Vec<f32>,
    ) -> Result<(), TrainRefusal> {
        self.numbers(node, mode, outputs, order)?;
        self.push(node, Layer::Conv(conv, mode));
        Ok(())
    }

    /// Weights and biases, to where the layer's way of training has them.
    fn numbers(
        &mut self,
        node: &Node,
        mode: Training,
        outputs: usize,
        order: impl Fn(&[f32]) -> Vec<f32>,
    ) -> Result<(), TrainRefusal> {
        let Some((_, weights)) = self.constant(node, 1) else {
            return Err(refuse(node, "its weights are not constant"));
        };
        let bias = match node.inputs.get(2) {
            Some(_) => match self.constant(node, 2) {
                Some((_, bias)) => bias,
                None => return Err(refuse(node, "its bias is not constant")),
            },
            None => vec![0.0; outputs],
        };
        let weights = order(&weights);
        let (of_weights, of_bias) = (mode == Training::All, mode != Training::Nothing);
        for (numbers, trained) in [(weights, of_weights), (bias, of_bias)] {
            if trained { &mut self.parameters } else { &mut self.frozen }.extend(numbers);
        }
        Ok(())
    }

    fn constant(&self, node: &Node, operand: usize) -> Option<(&[usize], Vec<f32>)> {
        let tensor = self.graph.tensor(*node.inputs.get(operand)?);
        let values = real(self.graph, node, operand)?;
        Some((&tensor.shape, values.into_iter().map(|value| value as f32).collect()))
    }
}

/// `[outputs][line]` as `[line][outputs]`: the training core has output channels side by side.
fn transposed(weights: &[f32], line: usize) -> Vec<f32> {
    let line = line.max(1);
    (0..line).flat_map(|at| weights.iter().skip(at).step_by(line).copied()).collect()
}

/// Rows and columns of a window over `[1, rows, columns, channels]`.
fn axes(node: &Node, spatial: &Spatial, input: &[usize]) -> Result<[Axis; 2], TrainRefusal> {
    if !matches!(*input, [1, _, _, _]) || spatial.size[0] != 1 {
        return Err(refuse(node, "it runs over time, or over several pictures"));
    }
    if spatial.dilation != [1, 1, 1] {
        return Err(refuse(node, "its window has holes"));
    }
    Ok([1, 2].map(|axis| {
        let (before, after) = spatial.pad[axis];
        Axis { input: input[axis], window: spatial.size[axis], stride: spatial.stride[axis], before, after }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::eval::evaluate;
    use crate::graph::{DType, Data, Quant, Tensor};
    use crate::passes::testing::{Random, assert_close, random_data};
    use mote_runtime::train::Trainer;

    /// Convolution with ReLU, depthwise convolution, largest elements, flattening, a dense layer, softmax.
    fn graph() -> Graph {
        let (mut graph, mut random) = (Graph::default(), Random(5));
        let mut constant = |graph: &mut Graph, shape: &[usize]| {
            let tensor = Tensor::activation("w", shape.to_vec(), DType::F32);
            let data = random_data(&tensor, &mut random);
            graph.add_tensor(Tensor::constant("w", shape.to_vec(), data))
        };
        let activation = |graph: &mut Graph, shape: &[usize]| {
            graph.add_tensor(Tensor::activation("x", shape.to_vec(), DType::F32))
        };
        let window = |size: usize, stride: usize, pad: (usize, usize)| {
            Spatial::over_rows_and_columns([size; 2], [stride; 2], [1; 2], [pad; 2])
        };
        let x = activation(&mut graph, &[1, 6, 6, 2]);
        graph.inputs = vec![x];
        let conv = Op::Conv { spatial: window(3, 1, (1, 1)), groups: 1 };
        let (w, b) = (constant(&mut graph, &[4, 1, 3, 3, 2]), constant(&mut graph, &[4]));
        let a = activation(&mut graph, &[1, 6, 6, 4]);
        graph
            .nodes
            .push(Node { activation: Activation::Relu, ..Node::new("conv", conv, vec![x, w, b], vec![a]) });
        let (w, b) = (constant(&mut graph, &[4, 1, 3, 3, 1]), constant(&mut graph, &[4]));
        let c = activation(&mut graph, &[1, 6, 6, 4]);
        let depthwise = Op::Conv { spatial: window(3, 1, (1, 1)), groups: 4 };
        graph.nodes.push(Node::new("depthwise", depthwise, vec![a, w, b], vec![c]));
        let d = activation(&mut graph, &[1, 3, 3, 4]);
        let pool = Op::Pool { kind: PoolKind::Max, spatial: window(2, 2, (0, 0)) };
        graph.nodes.push(Node::new("pool", pool, vec![c], vec![d]));
        let e = activation(&mut graph, &[1, 36]);
        graph.nodes.push(Node::new("flatten", Op::Reshape, vec![d], vec![e]));
        let (w, b) = (constant(&mut graph, &[5, 36]), constant(&mut graph, &[5]));
        let f = activation(&mut graph, &[1, 5]);
        graph.nodes.push(Node::new("dense", Op::Dense, vec![e, w, b], vec![f]));
        graph.outputs = vec![f];
        graph.validate().unwrap();
        graph
    }

    fn cut(what: &str) -> Result<(Graph, Trained), TrainRefusal> {
        let mut rest = graph();
        let options = Options { what: what.parse().unwrap(), momentum: true };
        let trained = split(&mut rest, &options)?;
        Ok((rest, trained))
    }

    /// Wherever it is cut, both parts together answer as the whole.
    #[test]
    fn the_trained_end_behind_the_frozen_network_is_the_network() {
        let whole = graph();
        let input = random_data(whole.tensor(whole.inputs[0]), &mut Random(9));
        let expected = evaluate(&whole, std::slice::from_ref(&input)).unwrap();
        for (what, layers, trained) in
            [("head", 1, 185), ("bias:1", 3, 189), ("layers:depthwise", 3, 40), ("all", 5, 185 + 40 + 76)]
        {
            let (rest, end) = cut(what).unwrap();
            assert_eq!((end.layers.len(), end.parameters.len(), end.whole), (layers, trained, what == "all"));
            let features = match end.whole {
                true => input.to_f32(),
                false => evaluate(&rest, std::slice::from_ref(&input)).unwrap()[0].to_f32(),
            };
            let network = Network::new(&end.layers).unwrap();
            let mut memory = vec![0.0; end.memory.total().div_ceil(4)];
            let mut trainer = Trainer::new(network, &end.frozen, &mut memory, true).unwrap();
            trainer.parameters_mut().copy_from_slice(&end.parameters);
            let answer = trainer.predict(&features).unwrap();
            assert_close(&expected[0], &Data::F32(answer.into()));
        }
    }

    /// An int8 network's end has the numbers that its codes stand for; what stands in front stays int8.
    #[test]
    fn the_end_of_an_int8_network_begins_with_what_its_codes_stand_for() {
        let mut float = graph();
        let mut codes = float.clone();
        for index in 0..float.tensors.len() {
            let shape = float.tensors[index].shape.clone();
            let Some(data) = float.tensors[index].data.take() else {
                let quant = Quant::per_tensor(0.125, 3);
                (codes.tensors[index].dtype, codes.tensors[index].quant) = (DType::I8, Some(quant));
                continue;
            };
            // Powers of two, so that products are exact.
            let scales: Vec<f32> = (0..shape[0]).map(|n| 0.5f32.powi(3 + n as i32 % 3)).collect();
            let inner: usize = shape[1..].iter().product();
            let bias = shape.len() == 1;
            let ints: Vec<i8> =
                data.to_f32().iter().map(|v| (v * 100.0).clamp(-127.0, 127.0) as i8).collect();
            let of = |i: usize| f32::from(ints[i]) * scales[i / inner] * if bias { 0.125 } else { 1.0 };
            float.tensors[index].data = Some(Data::F32((0..ints.len()).map(of).collect::<Vec<_>>().into()));
            let tensor = &mut codes.tensors[index];
            // A bias of 32 bits has the scale of sums, of inputs times weights, and none of its own.
            if bias {
                (tensor.dtype, tensor.data) =
                    (DType::I32, Some(Data::I32(ints.iter().map(|&v| v.into()).collect::<Vec<_>>().into())));
            } else {
                let zero_points = vec![0; scales.len()];
                tensor.quant = Some(Quant { scales, zero_points, axis: Some(0) });
                (tensor.dtype, tensor.data) = (DType::I8, Some(Data::I8(ints.into())));
            }
        }
        for what in ["head", "layers:depthwise", "bias:1"] {
            let options = Options { what: what.parse().unwrap(), momentum: true };
            let (mut front, mut of_float) = (codes.clone(), float.clone());
            let end = split(&mut front, &options).unwrap();
            assert_eq!(end, split(&mut of_float, &options).unwrap(), "{what}");
            assert!(end.parameters.iter().any(|v| *v != 0.0));
            assert!(front.tensor(front.outputs[0]).quant.is_some());
        }
    }

    #[test]
    fn what_cannot_be_trained_is_refused_with_the_node() {
        assert_eq!(cut("bias:3").unwrap_err(), TrainRefusal::Count { asked: 4, have: 3 });
        let error = cut("layers:dense,cnv").unwrap_err().to_string();
        assert!(error.contains("`cnv`") && error.contains("conv, depthwise, dense"), "{error}");
        // A second reader of what the end reads.
        let mut other = graph();
        let (from, shape) = (other.nodes[0].outputs[0], vec![1, 6, 6, 4]);
        let to = other.add_tensor(Tensor::activation("y", shape, DType::F32));
        other.nodes.insert(2, Node::new("side", Op::Unary(UnaryFn::Relu), vec![from], vec![to]));
        let options = Options { what: What::Layers(vec!["depthwise".into()]), momentum: false };
        let error = split(&mut other, &options).unwrap_err().to_string();
        assert!(error.contains("depthwise") && error.contains("only the one before"), "{error}");
        for text in ["", "tail", "bias:", "bias:0", "layers:", "layers:a,,b"] {
            assert!(text.parse::<What>().is_err(), "{text}");
        }
    }
}
