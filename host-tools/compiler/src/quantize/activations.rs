//! The values of all tensors of a network on a sample.

use super::QuantizeError;
use crate::emit::{Extras, emit};
use crate::executor::Executor;
use crate::graph::eval::evaluate_all;
use crate::graph::{DType, Data, Graph, Quant, Tensor, TensorId};
use crate::import::list;
use crate::lower::sparse::{Room, Rooms};
use crate::lower::{Choices, lower};
use crate::schedule::schedule;
use crate::stream;
use half::f16;
use mote_runtime::engine::Observer;
use mote_runtime::kernels::pack::Portable;
use mote_runtime::plan::target;

/// Runs a network and shows the real values of its activations.
pub trait Activations {
    /// Runs one sample (graph input, then values) and hands every activation, inputs included, to `visit`.
    fn run(
        &mut self,
        inputs: &[Vec<f32>],
        visit: &mut dyn FnMut(TensorId, &[f32]),
    ) -> Result<(), QuantizeError>;
}

/// The runtime if it has kernels for all nodes, and else the evaluator.
pub(super) fn network(graph: &Graph) -> Box<dyn Activations + '_> {
    match Runtime::new(graph) {
        Ok(runtime) => Box::new(runtime),
        Err(_) => Box::new(Evaluator(graph)),
    }
}

/// The network as a plan, run by the runtime.
pub struct Runtime<'a> {
    graph: &'a Graph,
    executor: Executor,
    /// Per step: the tensor that is complete after it.
    completes: Vec<Option<TensorId>>,
    /// Tensors that are the bytes of another one, with the other one.
    aliases: Vec<(TensorId, TensorId)>,
}

impl<'a> Runtime<'a> {
    /// Converts the network; fails with the reason if a node has no kernel.
    pub fn new(graph: &'a Graph) -> Result<Self, QuantizeError> {
        let failure = |reason: String| QuantizeError::Run(reason);
        let mut lowered_graph = graph.clone();
        let choices = Choices {
            half_weights: false,
            running_sums: true,
            packer: &Portable,
            target: target::PORTABLE,
            rooms: &Rooms::all(Room::Ample),
        };
        let mut lowered = lower(&mut lowered_graph, &choices).map_err(|refusals| failure(list(&refusals)))?;
        let regions = stream::plain(lowered.steps.len());
        stream::apply(&lowered_graph, &mut lowered, &regions);
        let schedule = schedule(&lowered_graph, &lowered, &regions);
        let extras = Extras { strip: true, ..Extras::default() };
        let plan = emit(&lowered_graph, &lowered, &regions, &schedule, &extras)
            .map_err(|e| failure(e.to_string()))?;
        let executor = Executor::new(&plan).map_err(|e| failure(e.to_string()))?;
        let outputs: Vec<TensorId> = lowered.steps.iter().map(|step| step.output.tensor).collect();
        let completes = (0..outputs.len())
            .map(|step| {
                Some(outputs[step])
                    .filter(|id| id.0 < graph.tensors.len() && !outputs[step + 1..].contains(id))
            })
            .collect();
        let aliases = graph.nodes.iter().flat_map(|node| &node.outputs);
        let aliases = aliases.filter_map(|id| Some((*id, *lowered.aliases.get(id)?))).collect();
        Ok(Self { graph, executor, completes, aliases })
    }
}

impl Activations for Runtime<'_> {
    fn run(
        &mut self,
        inputs: &[Vec<f32>],
        visit: &mut dyn FnMut(TensorId, &[f32]),
    ) -> Result<(), QuantizeError> {
        let mut show = Show { graph: self.graph, completes: &self.completes, aliases: &self.aliases, visit };
        let mut bytes = Vec::new();
        for (&id, values) in self.graph.inputs.iter().zip(inputs) {
            let data = store(self.graph.tensor(id), values).to_bytes();
            show.tensor(id, &data);
            bytes.push(data);
        }
        let bytes: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        self.executor.run_observed(&bytes, &mut show).map_err(|e| QuantizeError::Run(e.to_string()))?;
        Ok(())
    }
}

struct Show<'a> {
    graph: &'a Graph,
    completes: &'a [Option<TensorId>],
    aliases: &'a [(TensorId, TensorId)],
    visit: &'a mut dyn FnMut(TensorId, &[f32]),
}

impl Show<'_> {
    fn tensor(&mut self, id: TensorId, bytes: &[u8]) {
        let tensor = self.graph.tensor(id);
        let data: Data = match tensor.dtype {
            DType::F32 => {
                let numbers = bytes.as_chunks::<4>().0.iter();
                Data::F32(numbers.map(|&b| f32::from_le_bytes(b)).collect())
            }
            DType::I8 => Data::I8(bytes.iter().map(|&b| b as i8).collect()),
            _ => return,
        };
        let values = reals(tensor, &data);
        (self.visit)(id, &values);
        // In topological order, so that aliases of aliases are reached.
        let mut same = vec![id];
        for (alias, of) in self.aliases {
            if same.contains(of) {
                same.push(*alias);
                (self.visit)(*alias, &values);
            }
        }
    }
}

impl Observer for Show<'_> {
    fn after(&mut self, step: usize, _: std::ops::Range<usize>, output: &[u8]) {
        if let Some(&Some(id)) = self.completes.get(step) {
            self.tensor(id, output);
        }
    }
}

/// The plain evaluator of graphs: works on every graph, slowly.
pub struct Evaluator<'a>(pub &'a Graph);

impl Activations for Evaluator<'_> {
    fn run(
        &mut self,
        inputs: &[Vec<f32>],
        visit: &mut dyn FnMut(TensorId, &[f32]),
    ) -> Result<(), QuantizeError> {
        let graph = self.0;
        let data: Vec<Data> =
            graph.inputs.iter().zip(inputs).map(|(&id, values)| store(graph.tensor(id), values)).collect();
        let all = evaluate_all(graph, &data)?;
        for (index, data) in all.iter().enumerate() {
            let (Some(data), tensor) = (data, &graph.tensors[index]) else { continue };
            if !tensor.is_constant() {
                visit(TensorId(index), &reals(tensor, data));
            }
        }
        Ok(())
    }
}

/// Real values as the elements of a tensor.
pub(super) fn store(tensor: &Tensor, values: &[f32]) -> Data {
    match tensor.quant.as_ref().and_then(Quant::uniform) {
        Some((scale, zero_point)) if tensor.dtype == DType::I8 => {
            Data::I8(values.iter().map(|&x| code(x, scale, zero_point)).collect())
        }
        _ => match tensor.dtype {
            DType::F32 => Data::F32(values.into()),
            DType::F16 => Data::F16(values.iter().map(|&x| f16::from_f32(x)).collect()),
            DType::I8 => Data::I8(values.iter().map(|&x| x as i8).collect()),
            DType::U8 => Data::U8(values.iter().map(|&x| x as u8).collect()),
            DType::I16 => Data::I16(values.iter().map(|&x| x as i16).collect()),
            DType::I32 => Data::I32(values.iter().map(|&x| x as i32).collect()),
            DType::I64 => Data::I64(values.iter().map(|&x| x as i64).collect()),
            DType::Bool => Data::Bool(values.iter().map(|&x| x != 0.0).collect()),
        },
    }
}

/// The elements of a tensor as real values.
pub(super) fn reals(tensor: &Tensor, data: &Data) -> Vec<f32> {
    let mut values = data.to_f32();
    if let Some((scale, zero_point)) = tensor.quant.as_ref().and_then(Quant::uniform) {
        values.iter_mut().for_each(|x| *x = scale * (*x - zero_point as f32));
    }
    values
}

/// The nearest code.
pub(super) fn code(x: f32, scale: f32, zero_point: i32) -> i8 {
    ((f64::from(x) / f64::from(scale)).round_ties_even() + f64::from(zero_point)).clamp(-128.0, 127.0) as i8
}
