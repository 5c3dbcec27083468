//! A lowered and scheduled network to the bytes of a plan.

use crate::graph::{DType, Graph, TensorId};
use crate::lower::{Lowered, Operand, Step};
use crate::schedule::Schedule;
use crate::stream::{Rate, Region, runs};
use mote_runtime::plan::{
    CandidateRecord, ConversionRecord, DType as PlanType, FillRecord, MAX_RANK, NONE, OperandRecord,
    PlanWriter, PreprocessRecord, RegionKind, Space, StepEntry, TensorRecord, WeighedRecord, step_flags,
};
use std::collections::HashMap;

/// What goes into the file besides the network.
#[derive(Clone, Debug, Default)]
pub struct Extras {
    /// One of [`mote_runtime::plan::target`].
    pub target: u16,
    pub preprocess: Vec<PreprocessRecord>,
    pub conversion: Option<ConversionRecord>,
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
    regions: &[Region],
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
    writer.state_bytes = schedule.state_bytes as u32;
    writer.labels = graph.labels.clone();
    writer.preprocess = extras.preprocess.clone();
    writer.conversion = extras.conversion;
    writer.strip = extras.strip;
    let mut tensors =
        Tensors { graph, regions, schedule, newest: &lowered.newest, writer, indices: HashMap::new() };

    let mut made_by = HashMap::new();
    for region in regions {
        for (index, rate) in region.steps.clone().zip(&region.rates) {
            let step = &lowered.steps[index];
            let written = tensors.step(step, index, rate)?;
            let candidates = step.candidates.iter().map(|candidate| CandidateRecord {
                step: written,
                kernel: candidate.kernel,
                cost: candidate.cost.round() as u32,
            });
            tensors.writer.candidates.extend(candidates);
            made_by.insert(step.output.tensor, written);
            if let Some(choice) = step.choice {
                tensors.writer.weighed.push(WeighedRecord {
                    step: written,
                    block_outputs: choice.block.outputs as u8,
                    block_inputs: choice.block.inputs as u8,
                    zeros: choice.zeros as f32,
                    dense: choice.dense as f32,
                    sparse: choice.sparse as f32,
                });
            }
        }
        let port = region.port.and_then(|id| graph.inputs.iter().position(|&input| input == id));
        let port = port.map_or(NONE, |port| port as u16);
        tensors.writer.region(region.kind, port, region.ticks as u32, region.period as u32);
    }
    for &id in &graph.inputs {
        let delivered = regions.iter().find(|region| region.port == Some(id));
        let view = match delivered.and_then(|region| Some((region, region.rings.get(&id)?))) {
            Some((region, ring)) => {
                let (slots, bytes) = (ring.slots as u32, ring.slice_bytes as u32);
                let view = OperandRecord::rows(0, tensors.len_bytes(id) / bytes, bytes).as_slices(slots);
                let endless = region.kind == RegionKind::Endless;
                OperandRecord { slices: if endless { u32::MAX } else { view.slices }, ..view }
            }
            None => OperandRecord::rows(0, 1, tensors.len_bytes(id)),
        };
        tensors.port(0, id, view, NONE)?;
    }
    for &id in &graph.outputs {
        let step = made_by.get(&id).copied().unwrap_or(NONE);
        let slice = regions
            .iter()
            .find_map(|region| region.rings.get(&id).filter(|_| region.kind == RegionKind::Endless));
        let bytes = slice.map_or(tensors.len_bytes(id), |ring| ring.slice_bytes as u32);
        tensors.port(1, id, OperandRecord::rows(0, 1, bytes), step)?;
    }
    for (id, data) in &lowered.initial {
        let start = schedule.state.get(id).copied().unwrap_or(0);
        for (offset, count, bytes, value) in runs(data) {
            let (offset, count, bytes) = ((start + offset) as u32, count as u32, bytes as u32);
            tensors.writer.fill(FillRecord { offset, count, bytes, value });
        }
    }
    Ok(tensors.writer.finish())
}

struct Tensors<'a> {
    graph: &'a Graph,
    regions: &'a [Region],
    schedule: &'a Schedule,
    newest: &'a HashMap<TensorId, TensorId>,
    writer: PlanWriter,
    indices: HashMap<TensorId, u16>,
}

impl Tensors<'_> {
    fn step(&mut self, step: &Step, index: usize, rate: &Rate) -> Result<u16, EmitError> {
        let inputs: Result<Vec<_>, _> = step.inputs.iter().map(|operand| self.operand(operand)).collect();
        let output = self.operand(&step.output)?;
        let flags = self.schedule.in_place[index].iter().enumerate().take(4);
        let flags = flags.filter(|(_, set)| **set).fold(0, |bits, (k, _)| bits | step_flags::IN_PLACE << k);
        let flags = if step.stretch > 1 { flags | step_flags::STRETCHED } else { flags };
        Ok(self.writer.step(&StepEntry {
            name: &step.name,
            macs: step.macs,
            packed: &step.packed,
            inputs: &inputs?,
            output,
            flags,
            scratch: self.schedule.scratch[index] as u32,
            every: rate.every as u16,
            phase: rate.phase as u32,
            burst: rate.burst as u16,
        }))
    }

    fn port(&mut self, direction: u8, id: TensorId, view: OperandRecord, step: u16) -> Result<(), EmitError> {
        let operand = self.operand(&Operand { tensor: id, view })?;
        self.writer.port(direction, &self.graph.tensor(id).name, operand, step);
        Ok(())
    }

    fn len_bytes(&self, id: TensorId) -> u32 {
        let tensor = self.graph.tensor(id);
        (tensor.len() * tensor.dtype.size()) as u32
    }

    fn operand(&mut self, operand: &Operand) -> Result<OperandRecord, EmitError> {
        let newest = match self.newest.get(&operand.tensor) {
            Some(&newest) if operand.view.newest != 0 => self.index(newest)? + 1,
            _ => 0,
        };
        Ok(OperandRecord { tensor: self.index(operand.tensor)?, newest, ..operand.view })
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
        let (space, offset) = match (&tensor.data, self.schedule.state.get(&id)) {
            (Some(data), _) => (Space::Constant, self.writer.constant(&data.to_bytes())),
            (None, Some(&offset)) => (Space::State, offset as u32),
            (None, None) => (Space::Arena, self.schedule.offsets.get(&id).map_or(0, |&o| o as u32)),
        };
        let quant = match tensor.quant.as_ref().and_then(|q| q.uniform()) {
            Some((scale, zero_point)) => self.writer.quant(scale, zero_point),
            None => NONE,
        };
        let ring = self.regions.iter().find_map(|region| Some((region, region.rings.get(&id)?)));
        let part = ring.is_some_and(|(_, ring)| ring.slice_bytes < self.len_bytes(id) as usize);
        if part && ring.is_some_and(|(region, _)| region.kind == RegionKind::Endless) {
            shape[1] = 1; // a frame
        }
        let record = TensorRecord {
            dtype: dtype as u8,
            space: space as u8,
            rank: rank as u8,
            flags: 0,
            quant,
            reserved: 0,
            offset,
            bytes: ring.map_or(self.len_bytes(id), |(_, ring)| ring.bytes() as u32),
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
