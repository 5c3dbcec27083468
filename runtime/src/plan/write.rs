//! Writes plans (host only). Checks nothing: [`Plan::parse`](super::Plan::parse) does, on the result.

use super::*;
use crate::kernels::pack::Packed;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// Kind, flags, and bytes with their record size.
type Section = (u16, u16, (Vec<u8>, usize));

/// Collects the parts of a plan and writes the file.
#[derive(Clone, Debug, Default)]
pub struct PlanWriter {
    /// One of [`target`].
    pub target: u16,
    pub arena_bytes: u32,
    pub state_bytes: u32,
    /// Class names, first class first.
    pub labels: Vec<String>,
    pub preprocess: Vec<PreprocessRecord>,
    pub conversion: Option<ConversionRecord>,
    pub candidates: Vec<CandidateRecord>,
    pub weighed: Vec<WeighedRecord>,
    /// Leave out names, labels and what only people read; preprocessing stays.
    pub strip: bool,
    tensors: Vec<TensorRecord>,
    tensor_names: Vec<String>,
    quants: Vec<QuantRecord>,
    operands: Vec<OperandRecord>,
    steps: Vec<StepRecord>,
    step_infos: Vec<(String, u64)>,
    regions: Vec<RegionRecord>,
    kernels: Vec<u16>,
    args: Vec<u8>,
    blobs: Vec<BlobRecord>,
    weights: Vec<u8>,
    known_blobs: BTreeMap<Vec<u8>, u32>,
    ports: Vec<(PortRecord, String)>,
    fills: Vec<FillRecord>,
}

/// Everything of a step.
#[derive(Clone, Debug)]
pub struct StepEntry<'a> {
    pub name: &'a str,
    pub macs: u64,
    pub packed: &'a Packed,
    pub inputs: &'a [OperandRecord],
    pub output: OperandRecord,
    /// [`step_flags`].
    pub flags: u16,
    /// Where in the arena the scratch lies.
    pub scratch: u32,
    pub every: u16,
    pub phase: u32,
    pub burst: u16,
}

impl PlanWriter {
    pub fn new(target: u16) -> Self {
        Self { target, ..Self::default() }
    }

    /// Adds a tensor; gives its index.
    pub fn tensor(&mut self, record: TensorRecord, name: &str) -> u16 {
        self.tensors.push(record);
        self.tensor_names.push(name.into());
        (self.tensors.len() - 1) as u16
    }

    /// Index of a quantization, added if new.
    pub fn quant(&mut self, scale: f32, zero_point: i32) -> u16 {
        let record = QuantRecord { scale, zero_point };
        let known = self.quants.iter().position(|q| *q == record);
        known.unwrap_or_else(|| {
            self.quants.push(record);
            self.quants.len() - 1
        }) as u16
    }

    /// Stores constant bytes, 16-byte aligned; the same bytes are stored once. Gives their offset in the weights.
    pub fn constant(&mut self, bytes: &[u8]) -> u32 {
        if let Some(&offset) = self.known_blobs.get(bytes) {
            return offset;
        }
        self.weights.resize(self.weights.len().next_multiple_of(ALIGN), 0);
        let offset = self.weights.len() as u32;
        self.weights.extend_from_slice(bytes);
        self.known_blobs.insert(bytes.to_vec(), offset);
        offset
    }

    /// Adds a step to the last region's end (regions are added after their steps); gives its index.
    pub fn step(&mut self, entry: &StepEntry<'_>) -> u16 {
        let kernel = self.kernels.iter().position(|&id| id == entry.packed.kernel).unwrap_or_else(|| {
            self.kernels.push(entry.packed.kernel);
            self.kernels.len() - 1
        });
        let operand = self.operands.len() as u16;
        self.operands.extend_from_slice(entry.inputs);
        self.operands.push(entry.output);
        let blob = self.blobs.len() as u16;
        for bytes in &entry.packed.blobs {
            let offset = self.constant(bytes);
            self.blobs.push(BlobRecord { offset, bytes: bytes.len() as u32 });
        }
        let args = self.args.len() as u32;
        self.args.extend_from_slice(&entry.packed.args);
        self.args.resize(self.args.len().next_multiple_of(4), 0);
        self.steps.push(StepRecord {
            kernel: kernel as u16,
            flags: entry.flags,
            operand,
            inputs: entry.inputs.len() as u8,
            blobs: entry.packed.blobs.len() as u8,
            blob,
            args_bytes: entry.packed.args.len() as u16,
            args,
            scratch: if entry.packed.scratch == 0 { 0 } else { entry.scratch },
            scratch_bytes: entry.packed.scratch as u32,
            every: entry.every,
            burst: entry.burst,
            phase: entry.phase,
        });
        self.step_infos.push((entry.name.into(), entry.macs));
        (self.steps.len() - 1) as u16
    }

    /// Closes a region over all steps added since the last one.
    pub fn region(&mut self, kind: RegionKind, port: u16, ticks: u32, period: u32) {
        let first_step = self.regions.last().map_or(0, |r| r.first_step + r.steps);
        let steps = self.steps.len() as u16 - first_step;
        self.regions.push(RegionRecord {
            kind: kind as u8,
            flags: 0,
            port,
            first_step,
            steps,
            ticks,
            period,
        });
    }

    /// Adds an input (direction 0) or output (1); gives its index. `step`: the one that makes an output.
    pub fn port(&mut self, direction: u8, name: &str, operand: OperandRecord, step: u16) -> u16 {
        self.operands.push(operand);
        let operand = (self.operands.len() - 1) as u16;
        let record = PortRecord { operand, direction, flags: 0, name: 0, name_bytes: 0, step, reserved: 0 };
        self.ports.push((record, name.into()));
        (self.ports.len() - 1) as u16
    }

    /// Adds a piece of state that is not zero at the start.
    pub fn fill(&mut self, fill: FillRecord) {
        self.fills.push(fill);
    }

    /// Bytes of weights and constants so far.
    pub fn weight_bytes(&self) -> usize {
        self.weights.len()
    }

    /// The file.
    pub fn finish(&self) -> Vec<u8> {
        let mut strings = String::new();
        let mut intern = |text: &str| -> (u32, u32) {
            if self.strip {
                return (0, 0);
            }
            let at = strings.find(text).unwrap_or_else(|| {
                strings.push_str(text);
                strings.len() - text.len()
            });
            (at as u32, text.len() as u32)
        };
        let mut ports = Vec::new();
        for (record, text) in &self.ports {
            let (name, name_bytes) = intern(text);
            PortRecord { name, name_bytes, ..*record }.write(&mut ports);
        }
        let mut step_infos = Vec::new();
        for (text, macs) in &self.step_infos {
            let (name, name_bytes) = intern(text);
            let (macs_low, macs_high) = (*macs as u32, (*macs >> 32) as u32);
            StepInfoRecord { name, name_bytes, macs_low, macs_high }.write(&mut step_infos);
        }
        let mut tensor_infos = Vec::new();
        for text in &self.tensor_names {
            let (name, name_bytes) = intern(text);
            TensorInfoRecord { name, name_bytes }.write(&mut tensor_infos);
        }

        macro_rules! table {
            ($records:expr, $record:ident) => {{
                let mut bytes = Vec::new();
                $records.iter().for_each(|record: &$record| record.write(&mut bytes));
                (bytes, $record::SIZE)
            }};
        }
        let required = section_flags::REQUIRED;
        let mut sections = Vec::from([
            (section::TENSORS, required, table!(self.tensors, TensorRecord)),
            (section::QUANT, required, table!(self.quants, QuantRecord)),
            (section::OPERANDS, required, table!(self.operands, OperandRecord)),
            (section::STEPS, required, table!(self.steps, StepRecord)),
            (section::REGIONS, required, table!(self.regions, RegionRecord)),
            (section::KERNELS, required, (self.kernels.iter().flat_map(|id| id.to_le_bytes()).collect(), 2)),
            (section::ARGS, required, (self.args.clone(), 0)),
            (section::BLOBS, required, table!(self.blobs, BlobRecord)),
            (section::PORTS, required, (ports, PortRecord::SIZE)),
            (section::FILLS, required, table!(self.fills, FillRecord)),
            (section::WEIGHTS, required, (self.weights.clone(), 0)),
        ]);
        if !self.strip {
            sections.push((section::STEP_INFO, 0, (step_infos, StepInfoRecord::SIZE)));
            sections.push((section::TENSOR_INFO, 0, (tensor_infos, TensorInfoRecord::SIZE)));
            sections.push((section::STRINGS, 0, (strings.into_bytes(), 0)));
            sections.push((section::LABELS, 0, (self.labels.join("\n").into_bytes(), 0)));
            sections.push((section::CONVERSION, 0, table!(self.conversion, ConversionRecord)));
            sections.push((section::CANDIDATES, 0, table!(self.candidates, CandidateRecord)));
            sections.push((section::WEIGHED, 0, table!(self.weighed, WeighedRecord)));
        }
        sections.push((section::PREPROCESS, 0, table!(self.preprocess, PreprocessRecord)));
        sections.retain(|(_, _, (bytes, _))| !bytes.is_empty());
        self.assemble(&sections)
    }

    fn assemble(&self, sections: &[Section]) -> Vec<u8> {
        let mut body = Vec::new();
        let mut table = Vec::new();
        let start = (Header::SIZE + sections.len() * SectionRecord::SIZE).next_multiple_of(ALIGN);
        for (kind, flags, (bytes, stride)) in sections {
            body.resize(body.len().next_multiple_of(ALIGN), 0);
            let offset = (start + body.len()) as u32;
            let (bytes_len, stride) = (bytes.len() as u32, *stride as u32);
            SectionRecord { kind: *kind, flags: *flags, offset, bytes: bytes_len, stride }.write(&mut table);
            body.extend_from_slice(bytes);
        }
        let [a, b, c, d, e, f, g, h] = LABEL;
        let header = |crc, length| Header {
            label_low: u32::from_le_bytes([a, b, c, d]),
            label_high: u32::from_le_bytes([e, f, g, h]),
            version: VERSION,
            endian: ENDIAN_MARK,
            crc,
            length,
            arena: self.arena_bytes,
            state: self.state_bytes,
            target: self.target,
            sections: sections.len() as u16,
        };
        let mut file = header(0, (start + body.len()) as u32).to_bytes();
        file.extend_from_slice(&table);
        file.resize(start, 0);
        file.extend_from_slice(&body);
        let crc = crc32(file.get(CRC_FROM..).unwrap_or(&[]));
        if let Some(head) = file.get_mut(..Header::SIZE) {
            head.copy_from_slice(&header(crc, (start + body.len()) as u32).to_bytes());
        }
        file
    }
}

impl OperandRecord {
    /// A view of `rows` rows of `row_bytes` each, lying one behind the other, read or written row by row.
    pub fn rows(tensor: u16, rows: u32, row_bytes: u32) -> Self {
        Self {
            tensor,
            newest: 0,
            offset: 0,
            slots: 1,
            slices: 1,
            slice_stride: rows * row_bytes,
            rows,
            row_stride: row_bytes,
            row_bytes,
            outer_count: 1,
            outer_stride: 1,
            outer_dilation: 1,
            outer_pad: 0,
            inner_count: 1,
            inner_stride: 1,
            inner_dilation: 1,
            inner_pad: 0,
        }
    }

    /// The same with a window over rows.
    pub fn with_inner(self, count: u16, stride: u16, dilation: u16, pad: i16) -> Self {
        let (inner_count, inner_stride, inner_dilation, inner_pad) = (count, stride, dilation, pad);
        Self { inner_count, inner_stride, inner_dilation, inner_pad, ..self }
    }

    /// The same with a window over slices.
    pub fn with_outer(self, count: u16, stride: u16, dilation: u16, pad: i16) -> Self {
        let (outer_count, outer_stride, outer_dilation, outer_pad) = (count, stride, dilation, pad);
        Self { outer_count, outer_stride, outer_dilation, outer_pad, ..self }
    }

    /// The rows become slices, of which `slots` are kept: a ring, or with `slots == rows` a whole tensor.
    pub fn as_slices(self, slots: u32) -> Self {
        Self { slots, slices: self.rows, slice_stride: self.row_stride, rows: 1, ..self }
    }
}
