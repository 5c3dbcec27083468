//! A lowered and scheduled network to the bytes of a plan.

use crate::graph::{DType, Graph, TensorId};
use crate::lower::{Lowered, Operand};
use crate::schedule::Schedule;
use mote_runtime::plan::{
    DType as PlanType, MAX_RANK, NONE, OperandRecord, PlanWriter, PreprocessRecord, RegionKind, Space,
    StepEntry, TensorRecord, step_flags,
};
use std::collections::HashMap;

/// What goes into the file besides the network.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// One of [`mote_runtime::plan::target`].
    pub target: u16,
    pub preprocess: Vec<PreprocessRecord>,
    /// Leave names and labels out.
    pub strip: bool,
}

/// Why a lowered network does not fit into a plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum EmitError {
    #[error("`{tensor}` has rank {rank}, a plan holds up to 6 axes")]
    Rank { tensor: String, rank: usize },
    #[error("`{tensor}` has elements of type {dtype:?}, which no kernel works on")]
    Type { tensor: String, dtype: DType },
    #[error("the network has {count} {what}, a plan holds up to 65534")]
    TooMany { what: &'static str, count: usize },
    #[error("the plan would be {bytes} bytes long, more than 4 GiB")]
    TooLarge { bytes: u64 },
}

/// The plan file.
pub fn emit(
    graph: &Graph,
    lowered: &Lowered,
    schedule: &Schedule,
    extras: &Extras,
) -> Result<Vec<u8>, EmitError> {
    let weights: u64 = lowered.steps.iter().flat_map(|s| &s.packed.blobs).map(|b| b.len() as u64).sum();
    if weights + schedule.arena as u64 > u32::MAX.into() {
        return Err(EmitError::TooLarge { bytes: weights });
    }
    let operands: usize = lowered.steps.iter().map(|s| s.inputs.len() + 1).sum();
    for (what, count) in [("operands", operands), ("tensors", graph.tensors.len())] {
        if count >= NONE.into() {
            return Err(EmitError::TooMany { what, count });
        }
    }
    let mut writer = PlanWriter::new(extras.target);
    writer.arena_bytes = schedule.arena as u32;
    writer.labels = graph.labels.clone();
    writer.preprocess = extras.preprocess.clone();
    writer.strip = extras.strip;
    let mut tensors = Tensors { graph, schedule, writer, indices: HashMap::new() };

    let mut made_by = HashMap::new();
    for (index, step) in lowered.steps.iter().enumerate() {
        let inputs: Result<Vec<_>, _> = step.inputs.iter().map(|operand| tensors.operand(operand)).collect();
        let output = tensors.operand(&step.output)?;
        let flags = schedule.in_place[index].iter().enumerate().take(4);
        let flags = flags.filter(|(_, set)| **set).fold(0, |bits, (k, _)| bits | step_flags::IN_PLACE << k);
        let written = tensors.writer.step(&StepEntry {
            name: &step.name,
            macs: step.macs,
            packed: &step.packed,
            inputs: &inputs?,
            output,
            flags,
            scratch: schedule.scratch[index] as u32,
            every: 1,
            phase: 0,
            burst: 1,
        });
        made_by.insert(step.output.tensor, written);
    }
    tensors.writer.region(RegionKind::Plain, NONE, 1, 0);
    for (direction, ports) in [(0, &graph.inputs), (1, &graph.outputs)] {
        for &id in ports {
            let tensor = graph.tensor(id);
            let bytes = tensor.len() * tensor.dtype.size();
            let view = OperandRecord::rows(0, 1, bytes as u32);
            let operand = tensors.operand(&Operand { tensor: id, view })?;
            let step = made_by.get(&id).copied().unwrap_or(NONE);
            tensors.writer.port(direction, &tensor.name, operand, step);
        }
    }
    Ok(tensors.writer.finish())
}

struct Tensors<'a> {
    graph: &'a Graph,
    schedule: &'a Schedule,
    writer: PlanWriter,
    indices: HashMap<TensorId, u16>,
}

impl Tensors<'_> {
    fn operand(&mut self, operand: &Operand) -> Result<OperandRecord, EmitError> {
        Ok(OperandRecord { tensor: self.index(operand.tensor)?, ..operand.view })
    }

    fn index(&mut self, id: TensorId) -> Result<u16, EmitError> {
        if let Some(&index) = self.indices.get(&id) {
            return Ok(index);
        }
        let tensor = self.graph.tensor(id);
        let rank = tensor.shape.len();
        if rank > MAX_RANK {
            return Err(EmitError::Rank { tensor: tensor.name.clone(), rank });
        }
        let mut shape = [1; MAX_RANK];
        shape.iter_mut().zip(&tensor.shape).for_each(|(to, &from)| *to = from as u32);
        let dtype = plan_type(tensor.dtype);
        let dtype =
            dtype.ok_or_else(|| EmitError::Type { tensor: tensor.name.clone(), dtype: tensor.dtype })?;
        let (space, offset) = match &tensor.data {
            Some(data) => (Space::Constant, self.writer.constant(&data.to_bytes())),
            None => (Space::Arena, self.schedule.offsets.get(&id).map_or(0, |&o| o as u32)),
        };
        let quant = match tensor.quant.as_ref().and_then(|q| q.uniform()) {
            Some((scale, zero_point)) => self.writer.quant(scale, zero_point),
            None => NONE,
        };
        let record = TensorRecord {
            dtype: dtype as u8,
            space: space as u8,
            rank: rank as u8,
            flags: 0,
            quant,
            reserved: 0,
            offset,
            bytes: (tensor.len() * tensor.dtype.size()) as u32,
            shape,
        };
        let index = self.writer.tensor(record, &tensor.name);
        self.indices.insert(id, index);
        Ok(index)
    }
}

/// The plan's name of an element type; `None` for types that only shapes are made of.
pub(crate) fn plan_type(dtype: DType) -> Option<PlanType> {
    Some(match dtype {
        DType::F32 => PlanType::F32,
        DType::F16 => PlanType::F16,
        DType::I8 => PlanType::I8,
        DType::U8 => PlanType::U8,
        DType::I16 => PlanType::I16,
        DType::I32 => PlanType::I32,
        DType::I64 | DType::Bool => return None,
    })
}
