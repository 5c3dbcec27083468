//! The values of all tensors of a network on a sample.

use super::QuantizeError;
use crate::graph::eval::evaluate_all;
use crate::graph::{DType, Data, Graph, Quant, Tensor, TensorId};
use half::f16;

/// Runs a network and shows the real values of its activations.
pub trait Activations {
    /// Runs one sample (graph input, then values) and hands every activation, inputs included, to `visit`.
    fn run(
        &mut self,
        inputs: &[Vec<f32>],
        visit: &mut dyn FnMut(TensorId, &[f32]),
    ) -> Result<(), QuantizeError>;
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
