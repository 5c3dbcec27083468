//! Runs one packed kernel: builds a plan of one step around it, checks it, and runs it on an engine.
#![allow(dead_code)]

use mote_runtime::engine::KernelFn;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::{Library, PORTABLE};
use mote_runtime::plan::{
    DType, NONE, OperandRecord, PlanWriter, RegionKind, StepEntry, TensorRecord, step_flags, target,
};
use mote_runtime::{Engine, Error, Plan};

/// A window along one axis: count, stride, dilation, padding.
pub type Axis = (usize, usize, usize, isize);

/// Reads the row or slice itself.
pub const ONE: Axis = (1, 1, 1, 0);

/// An input: slices of rows of bytes, and how an output row reads them.
#[derive(Clone, Debug)]
pub struct Input {
    pub dtype: DType,
    pub slices: usize,
    pub rows: usize,
    pub bytes: Vec<u8>,
    pub outer: Axis,
    pub inner: Axis,
    /// Stored where the output is.
    pub in_place: bool,
}

/// The output's type and shape, in elements.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub dtype: DType,
    pub slices: usize,
    pub rows: usize,
    pub row: usize,
}

impl Input {
    /// One slice of `rows` rows, each output row reading its own.
    pub fn s8(rows: usize, values: &[i8]) -> Self {
        let bytes = bytemuck::cast_slice(values).to_vec();
        Self { dtype: DType::I8, slices: 1, rows, bytes, outer: ONE, inner: ONE, in_place: false }
    }

    pub fn inner(self, inner: Axis) -> Self {
        Self { inner, ..self }
    }

    pub fn outer(self, slices: usize, outer: Axis) -> Self {
        Self { slices, rows: self.rows / slices, outer, ..self }
    }

    pub fn in_place(self) -> Self {
        Self { in_place: true, ..self }
    }
}

impl Shape {
    pub fn s8(rows: usize, row: usize) -> Self {
        Self { dtype: DType::I8, slices: 1, rows, row }
    }
}

/// The output's bytes.
pub fn run(packed: &Packed, inputs: &[Input], output: Shape) -> Result<Vec<u8>, Error> {
    run_with(&PORTABLE, packed, inputs, output)
}

/// The output as `i8`; the kernel must accept the step.
pub fn run_s8(packed: &Packed, inputs: &[Input], output: Shape) -> Vec<i8> {
    let bytes = run(packed, inputs, output).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    bytemuck::cast_slice(&bytes).to_vec()
}

/// [`run`] with the kernels of a target.
pub fn run_with(
    library: &Library,
    packed: &Packed,
    inputs: &[Input],
    output: Shape,
) -> Result<Vec<u8>, Error> {
    let file = aligned(&build(packed, inputs, output));
    let plan = Plan::parse(bytemuck::cast_slice::<_, u8>(&file).get(..plan_len(&file)).unwrap_or(&[]))?;
    library.check_plan(&plan)?;
    let kernels: Vec<KernelFn> =
        (0..plan.kernels()).filter_map(|i| library.find(plan.kernel(i)?)).map(|entry| entry.run).collect();
    // What was there before must not matter.
    let mut arena = vec![0x5a5a_5a5a_5a5a_5a5a_5a5a_5a5a_5a5a_5a5au128; plan.arena_bytes() / 16];
    let mut engine = Engine::new(&plan, &kernels, bytemuck::cast_slice_mut(&mut arena), &mut [])?;
    for (k, input) in inputs.iter().enumerate() {
        engine.input(k)?.copy_from(&input.bytes)?;
    }
    engine.run()?;
    Ok(engine.output(0)?.bytes().to_vec())
}

/// The plan's file.
pub fn build(packed: &Packed, inputs: &[Input], output: Shape) -> Vec<u8> {
    let mut writer = PlanWriter::new(target::PORTABLE);
    let mut arena = 0u32;
    let mut place = |bytes: usize| {
        let offset = arena;
        arena += (bytes as u32).next_multiple_of(16);
        offset
    };
    let out_bytes = output.slices * output.rows * output.row * output.dtype.size();
    let out_offset = place(out_bytes);
    let scratch = place(packed.scratch);
    let mut operands = Vec::new();
    let mut flags = 0;
    for (k, input) in inputs.iter().enumerate() {
        let offset = if input.in_place { out_offset } else { place(input.bytes.len()) };
        flags |= if input.in_place { step_flags::IN_PLACE << k } else { 0 };
        let tensor = writer.tensor(tensor(input.dtype, offset, input.bytes.len()), "input");
        operands.push(view(tensor, input.slices, input.rows, input.bytes.len(), input.outer, input.inner));
    }
    let out = writer.tensor(tensor(output.dtype, out_offset, out_bytes), "output");
    let out = view(out, output.slices, output.rows, out_bytes, ONE, ONE);
    for operand in &operands {
        writer.port(0, "input", *operand, NONE);
    }
    writer.arena_bytes = arena;
    let entry = StepEntry {
        name: "step",
        macs: 0,
        packed,
        inputs: &operands,
        output: out,
        flags,
        scratch,
        every: 1,
        phase: 0,
        burst: output.slices as u16,
    };
    writer.step(&entry);
    writer.region(RegionKind::Plain, NONE, 1, 0);
    writer.port(1, "output", out, 0);
    writer.finish()
}

fn aligned(bytes: &[u8]) -> Vec<u128> {
    let mut words = vec![0u128; bytes.len().div_ceil(16)];
    bytemuck::cast_slice_mut::<_, u8>(&mut words)[..bytes.len()].copy_from_slice(bytes);
    words
}

/// Length of the file as its header has it.
fn plan_len(file: &[u128]) -> usize {
    let bytes: &[u8] = bytemuck::cast_slice(file);
    mote_runtime::plan::Header::read(bytes, 0).map_or(0, |header| header.length as usize)
}

fn tensor(dtype: DType, offset: u32, bytes: usize) -> TensorRecord {
    TensorRecord {
        dtype: dtype as u8,
        space: 0,
        rank: 1,
        flags: 0,
        quant: NONE,
        reserved: 0,
        offset,
        bytes: bytes as u32,
        shape: [(bytes / dtype.size()) as u32, 1, 1, 1, 1, 1],
    }
}

fn view(tensor: u16, slices: usize, rows: usize, bytes: usize, outer: Axis, inner: Axis) -> OperandRecord {
    let row = (bytes / slices / rows) as u32;
    let (slices, rows) = (slices as u32, rows as u32);
    OperandRecord {
        slots: slices,
        slices,
        slice_stride: rows * row,
        ..OperandRecord::rows(tensor, rows, row)
    }
    .with_outer(outer.0 as u16, outer.1 as u16, outer.2 as u16, outer.3 as i16)
    .with_inner(inner.0 as u16, inner.1 as u16, inner.2 as u16, inner.3 as i16)
}

/// A small generator of reproducible test data.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let x = self.0 ^ (self.0 >> 33);
        x.wrapping_mul(0xff51afd7ed558ccd) >> 11
    }

    /// In `low ..= high`.
    pub fn int(&mut self, low: i64, high: i64) -> i64 {
        low + (self.next() % (high - low + 1) as u64) as i64
    }

    pub fn codes(&mut self, len: usize) -> Vec<i8> {
        (0..len).map(|_| self.next() as i8).collect()
    }

    /// In `low .. high`, evenly over the exponents.
    pub fn factor(&mut self, low: f64, high: f64) -> f64 {
        let part = (self.next() % (1 << 40)) as f64 / (1u64 << 40) as f64;
        low * (high / low).powf(part)
    }
}
