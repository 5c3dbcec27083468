//! Builds plans of stacks of int8 layers by hand: on whole tensors, over rows, over time.
#![allow(dead_code)]

use mote_runtime::kernels::binary_s8::{Affine, SumS8};
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::copy::CopyRows;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::pool_s8::PoolS8;
use mote_runtime::kernels::sparse::Block;
use mote_runtime::kernels::spmm_s8::SpmmS8;
use mote_runtime::kernels::{KernelTable, PORTABLE};
use mote_runtime::plan::*;
use mote_runtime::{Engine, Error, Plan};

/// Xorshift: numbers without a dependency.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    pub fn below(&mut self, bound: u64) -> usize {
        (self.next() % bound) as usize
    }

    pub fn codes(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| self.next() as i8).collect()
    }
}

/// Window along the streamed axis and along columns.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub size: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pad: (usize, usize),
}

impl Window {
    pub fn output(&self, input: usize) -> Option<usize> {
        Some(
            (input + self.pad.0 + self.pad.1).checked_sub(self.dilation * (self.size - 1) + 1)? / self.stride
                + 1,
        )
    }
}

#[derive(Clone, Debug)]
pub enum Kind {
    Conv {
        out_channels: usize,
    },
    /// A 1x1 convolution, three quarters of whose weights are zero.
    Sparse {
        out_channels: usize,
        block: Block,
    },
    Depthwise,
    AveragePool,
    MaxPool,
    /// Adds the input of the layer before to its output (shapes are equal there).
    Residual,
}

#[derive(Clone, Debug)]
pub struct Layer {
    pub kind: Kind,
    pub rows: Window,
    pub packed: Packed,
    /// Rows, columns, channels of the output.
    pub shape: [usize; 3],
}

pub const ZERO_POINT: i32 = -7;

pub fn layer(
    random: &mut Random,
    kind: Kind,
    input: [usize; 3],
    rows: Window,
    columns: Window,
) -> Option<Layer> {
    let [height, width, channels] = input;
    let out_channels = match kind {
        Kind::Conv { out_channels } | Kind::Sparse { out_channels, .. } => out_channels,
        _ => channels,
    };
    let shape = [rows.output(height)?, columns.output(width)?, out_channels];
    let requant = Requant { factors: vec![0.004], zero_point: ZERO_POINT, min: -128, max: 127, rounding: 1 };
    let (kernel_rows, kernel_width) = (rows.size, columns.size);
    let (stride, dilation, pad_left) = (columns.stride, columns.dilation, columns.pad.0 as isize);
    let pool = PoolS8 {
        channels,
        kernel_rows,
        kernel_width,
        stride,
        dilation,
        pad_left,
        include_padding: false,
        zero_point: ZERO_POINT,
        min: -128,
        max: 127,
    };
    let packed = match kind {
        Kind::Conv { .. } => ConvS8 {
            weights: &random.codes(out_channels * kernel_rows * kernel_width * channels),
            bias: &[],
            in_channels: channels,
            out_channels,
            kernel_rows,
            kernel_width,
            stride,
            dilation,
            pad_left,
            groups: 1,
            input_zero_point: ZERO_POINT,
            requant,
        }
        .pack(),
        Kind::Sparse { block, .. } => {
            let codes = random.codes(out_channels * channels);
            let weights: Vec<i8> = codes.iter().map(|&w| if w & 12 == 0 { w | 1 } else { 0 }).collect();
            SpmmS8 {
                weights: &weights,
                bias: &[],
                out_channels,
                stride,
                input_zero_point: ZERO_POINT,
                requant: &requant,
            }
            .pack(block, 8)
        }
        Kind::Depthwise => DepthwiseS8 {
            weights: &random.codes(channels * kernel_rows * kernel_width),
            bias: &[],
            in_channels: channels,
            multiplier: 1,
            kernel_rows,
            kernel_width,
            stride,
            dilation,
            pad_left,
            input_zero_point: ZERO_POINT,
            requant,
        }
        .pack(),
        Kind::AveragePool => pool.pack_average(),
        Kind::MaxPool => pool.pack_max(),
        Kind::Residual => {
            let affine = Affine { scale: 0.05, zero_point: ZERO_POINT };
            SumS8 { a: affine, b: affine, output: affine, repeat: [1, 1], min: -128, max: 127, rounding: 1 }
                .pack_add()
        }
    };
    Some(Layer { kind, rows, packed, shape })
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Drive {
    Whole,
    /// `true`: the input is pushed row by row into a ring.
    Rows(bool),
    Endless,
    /// The newest slice of each tensor is kept apart from the ring of the older ones, which is a slot shorter.
    Apart,
}

/// When a layer's slices are made.
#[derive(Clone, Copy)]
pub struct Rate {
    pub every: usize,
    pub phase: usize,
}

/// The file of a stack's plan.
pub fn build(input: [usize; 3], layers: &[Layer], drive: Drive) -> Vec<u8> {
    plan(input, layers, drive).finish()
}

/// Writes the plan of a stack.
pub fn plan(input: [usize; 3], layers: &[Layer], drive: Drive) -> PlanWriter {
    let shapes: Vec<[usize; 3]> = std::iter::once(input).chain(layers.iter().map(|l| l.shape)).collect();
    // The tensors that layer `i` reads: its predecessor, and for a residual the one before as well.
    let reads = |i: usize| if let Kind::Residual = layers[i].kind { vec![i, i - 1] } else { vec![i] };
    let mut rates = vec![Rate { every: 1, phase: 0 }];
    for (i, layer) in layers.iter().enumerate() {
        let from = rates[i];
        let wait = (layer.rows.dilation * (layer.rows.size - 1)).saturating_sub(layer.rows.pad.0);
        rates.push(Rate { every: from.every * layer.rows.stride, phase: from.phase + wait * from.every });
    }
    let mut slots: Vec<usize> = shapes.iter().map(|s| s[0]).collect();
    if drive != Drive::Whole {
        for (t, slot) in slots.iter_mut().enumerate().take(layers.len()) {
            if t == 0 && drive == Drive::Rows(false) {
                continue;
            }
            let needs = (0..layers.len()).filter(|&i| reads(i).contains(&t)).map(|i| {
                let newest = (rates[i + 1].phase - rates[t].phase) / rates[t].every;
                newest + layers[i].rows.pad.0 + 1
            });
            *slot = needs.max().unwrap_or(1);
        }
        if matches!(drive, Drive::Endless | Drive::Apart) {
            *slots.last_mut().unwrap() = 1;
        }
    }
    // The ring of a tensor's older slices, where they are kept apart: the slots of tensor `shapes.len() + t`.
    let apart: Vec<usize> =
        slots.iter().map(|&slots| if drive == Drive::Apart { slots - 1 } else { 0 }).collect();
    if drive == Drive::Apart {
        slots.fill(1);
    }
    let all = |t: usize| if t < shapes.len() { slots[t] } else { apart[t - shapes.len()] };
    let row_bytes = |t: usize| shapes[t % shapes.len()][1] * shapes[t % shapes.len()][2];
    let endless = matches!(drive, Drive::Endless | Drive::Apart);
    let mut writer = PlanWriter::new(target::PORTABLE);
    let mut offset = 0;
    let tensors = if drive == Drive::Apart { 2 * shapes.len() } else { shapes.len() };
    for t in 0..tensors {
        let (shape, bytes) = (shapes[t % shapes.len()], all(t) * row_bytes(t));
        let record = TensorRecord {
            dtype: DType::I8 as u8,
            space: if endless { Space::State } else { Space::Arena } as u8,
            rank: 3,
            flags: 0,
            quant: NONE,
            reserved: 0,
            offset: offset as u32,
            bytes: bytes as u32,
            shape: [
                if endless { all(t).max(1) } else { shape[0] } as u32,
                shape[1] as u32,
                shape[2] as u32,
                1,
                1,
                1,
            ],
        };
        writer.tensor(record, &format!("t{t}"));
        offset += bytes.next_multiple_of(16);
    }
    let room = layers.iter().map(|layer| layer.packed.scratch.next_multiple_of(16)).max().unwrap_or(0);
    let scratch = if endless { 0 } else { offset as u32 };
    if endless {
        writer.state_bytes = offset as u32
    }
    writer.arena_bytes = scratch + room as u32;
    let view = |t: usize| {
        let view = OperandRecord::rows(t as u16, shapes[t % shapes.len()][0] as u32, row_bytes(t) as u32);
        if drive == Drive::Whole {
            return view;
        }
        let view = view.as_slices(all(t) as u32);
        if endless { OperandRecord { slices: u32::MAX, ..view } } else { view }
    };
    // Where the window of layer `i` on tensor `t` ends: the newest slice, or so many before it.
    let lag = |i: usize, t: usize| {
        let w = layers[i].rows;
        let newest = (rates[i + 1].phase - rates[t].phase) / rates[t].every;
        newest + w.pad.0 - w.dilation * (w.size - 1)
    };
    let read = |i: usize, t: usize| match (apart[t], lag(i, t), layers[i].rows.size) {
        (0, ..) | (_, 0, 1) => view(t),
        (_, 0, _) => OperandRecord { newest: t as u16 + 1, ..view(shapes.len() + t) },
        _ => view(shapes.len() + t),
    };
    let last_reader = |t: usize| (0..layers.len()).rfind(|&i| reads(i).contains(&t));
    let mut last_step = 0;
    for (i, layer) in layers.iter().enumerate() {
        let w = layer.rows;
        let window = |view: OperandRecord| {
            let window = (w.size as u16, w.stride as u16, w.dilation as u16, w.pad.0 as i16);
            match drive {
                Drive::Whole => view.with_inner(window.0, window.1, window.2, window.3),
                _ => view.with_outer(window.0, window.1, window.2, window.3),
            }
        };
        let inputs: Vec<OperandRecord> = reads(i).into_iter().map(|t| window(read(i, t))).collect();
        let Rate { every, phase } =
            if drive == Drive::Whole { Rate { every: 1, phase: 0 } } else { rates[i + 1] };
        let entry = StepEntry {
            name: "layer",
            macs: 0,
            packed: &layer.packed,
            inputs: &inputs,
            output: view(i + 1),
            flags: 0,
            scratch,
            every: every as u16,
            phase: phase as u32,
            burst: 1,
        };
        last_step = writer.step(&entry);
        for t in (0..=i).filter(|&t| apart[t] > 0 && last_reader(t) == Some(i)) {
            let Rate { every, phase } = rates[t];
            writer.step(&StepEntry {
                name: "to the ring",
                packed: &CopyRows.pack(),
                inputs: &[view(t)],
                output: view(shapes.len() + t),
                every: every as u16,
                phase: phase as u32,
                ..entry
            });
        }
    }
    let last = shapes.len() - 1;
    let ticks =
        (1..shapes.len()).map(|t| rates[t].phase + (shapes[t][0] - 1) * rates[t].every + 1).max().unwrap();
    writer.port(0, "in", view(0), NONE);
    writer.port(1, "out", view(last), last_step);
    match drive {
        Drive::Whole => writer.region(RegionKind::Plain, NONE, 1, 0),
        Drive::Rows(_) => writer.region(RegionKind::Rows, 0, ticks.max(input[0]) as u32, 0),
        Drive::Endless | Drive::Apart => {
            let slots = slots.iter().zip(&apart).map(|(a, b)| a * b.max(&1));
            let period = slots.zip(&rates).fold(1, |all, (s, r)| lcm(all, s * r.every));
            writer.region(RegionKind::Endless, 0, 0, period as u32);
        }
    }
    writer
}

pub fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

/// Aligned copies of the plan and its memory for one engine.
pub fn with_engine<R>(file: &[u8], work: impl FnOnce(&mut Engine<'_>) -> R) -> Result<R, Error> {
    let aligned = |len: usize| vec![0u128; len.div_ceil(16) + 1];
    let (mut bytes, mut arena, mut state);
    bytes = aligned(file.len());
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut bytes);
    bytes[..file.len()].copy_from_slice(file);
    let plan = Plan::parse(&bytes[..file.len()])?;
    PORTABLE.check_plan(&plan)?;
    let table = KernelTable::<16>::link(&plan, PORTABLE.entries).map_err(|id| Error::MissingKernel { id })?;
    arena = aligned(plan.arena_bytes());
    state = aligned(plan.state_bytes());
    let (arena, state) = (bytemuck::cast_slice_mut(&mut arena), bytemuck::cast_slice_mut(&mut state));
    Ok(work(&mut Engine::new(&plan, table.as_slice(), arena, state)?))
}

pub fn run_whole(file: &[u8], input: &[u8]) -> Vec<u8> {
    let work = |engine: &mut Engine<'_>| {
        engine.input(0).unwrap().copy_from(input).unwrap();
        engine.run().unwrap();
        engine.output(0).unwrap().bytes().to_vec()
    };
    with_engine(file, work).unwrap()
}
