//! The central idea, proved on hand-built plans: a stack of layers run over rows, or over time, gives the same bytes
//! as the same stack on whole tensors, for every padding, stride and dilation, with rings instead of tensors.
#![cfg(feature = "pack")]

use mote_runtime::engine::Progress;
use mote_runtime::kernels::binary_s8::{Affine, SumS8};
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::depthwise_s8::DepthwiseS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::pool_s8::PoolS8;
use mote_runtime::kernels::{KernelTable, PORTABLE};
use mote_runtime::plan::*;
use mote_runtime::{Engine, Error, Plan};

/// Xorshift: numbers without a dependency.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn below(&mut self, bound: u64) -> usize {
        (self.next() % bound) as usize
    }

    fn codes(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| self.next() as i8).collect()
    }
}

/// Window along the streamed axis and along columns.
#[derive(Clone, Copy, Debug)]
struct Window {
    size: usize,
    stride: usize,
    dilation: usize,
    pad: (usize, usize),
}

impl Window {
    fn output(&self, input: usize) -> Option<usize> {
        Some(
            (input + self.pad.0 + self.pad.1).checked_sub(self.dilation * (self.size - 1) + 1)? / self.stride
                + 1,
        )
    }
}

#[derive(Clone, Debug)]
enum Kind {
    Conv {
        out_channels: usize,
    },
    Depthwise,
    AveragePool,
    MaxPool,
    /// Adds the input of the layer before to its output (shapes are equal there).
    Residual,
}

#[derive(Clone, Debug)]
struct Layer {
    kind: Kind,
    rows: Window,
    packed: Packed,
    /// Rows, columns, channels of the output.
    shape: [usize; 3],
}

const ZERO_POINT: i32 = -7;

fn layer(random: &mut Random, kind: Kind, input: [usize; 3], rows: Window, columns: Window) -> Option<Layer> {
    let [height, width, channels] = input;
    let out_channels = if let Kind::Conv { out_channels } = kind { out_channels } else { channels };
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

#[derive(Clone, Copy, PartialEq)]
enum Drive {
    Whole,
    /// `true`: the input is pushed row by row into a ring.
    Rows(bool),
    Endless,
}

/// When a layer's slices are made.
#[derive(Clone, Copy)]
struct Rate {
    every: usize,
    phase: usize,
}

/// Writes the plan of a stack; gives the file.
fn build(input: [usize; 3], layers: &[Layer], drive: Drive) -> Vec<u8> {
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
        if drive == Drive::Endless {
            *slots.last_mut().unwrap() = 1;
        }
    }
    let row_bytes = |t: usize| shapes[t][1] * shapes[t][2];
    let endless = drive == Drive::Endless;
    let mut writer = PlanWriter::new(target::PORTABLE);
    let mut offset = 0;
    for (t, shape) in shapes.iter().enumerate() {
        let bytes = slots[t] * row_bytes(t);
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
                if endless { slots[t] } else { shape[0] } as u32,
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
    if endless {
        writer.state_bytes = offset as u32
    } else {
        writer.arena_bytes = offset as u32
    }
    let view = |t: usize| {
        let view = OperandRecord::rows(t as u16, shapes[t][0] as u32, row_bytes(t) as u32);
        if drive == Drive::Whole {
            return view;
        }
        let view = view.as_slices(slots[t] as u32);
        if endless { OperandRecord { slices: u32::MAX, ..view } } else { view }
    };
    for (i, layer) in layers.iter().enumerate() {
        let w = layer.rows;
        let window = |view: OperandRecord| {
            let window = (w.size as u16, w.stride as u16, w.dilation as u16, w.pad.0 as i16);
            match drive {
                Drive::Whole => view.with_inner(window.0, window.1, window.2, window.3),
                _ => view.with_outer(window.0, window.1, window.2, window.3),
            }
        };
        let inputs: Vec<OperandRecord> = reads(i).into_iter().map(|t| window(view(t))).collect();
        let Rate { every, phase } =
            if drive == Drive::Whole { Rate { every: 1, phase: 0 } } else { rates[i + 1] };
        writer.step(&StepEntry {
            name: "layer",
            macs: 0,
            packed: &layer.packed,
            inputs: &inputs,
            output: view(i + 1),
            flags: 0,
            scratch: 0,
            every: every as u16,
            phase: phase as u32,
            burst: 1,
        });
    }
    let last = shapes.len() - 1;
    let ticks =
        (1..shapes.len()).map(|t| rates[t].phase + (shapes[t][0] - 1) * rates[t].every + 1).max().unwrap();
    writer.port(0, "in", view(0), NONE);
    writer.port(1, "out", view(last), (layers.len() - 1) as u16);
    match drive {
        Drive::Whole => writer.region(RegionKind::Plain, NONE, 1, 0),
        Drive::Rows(_) => writer.region(RegionKind::Rows, 0, ticks.max(input[0]) as u32, 0),
        Drive::Endless => {
            let period = slots.iter().zip(&rates).fold(1, |all, (s, r)| lcm(all, s * r.every));
            writer.region(RegionKind::Endless, 0, 0, period as u32);
        }
    }
    writer.finish()
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}

/// Aligned copies of the plan and its memory for one engine.
fn with_engine<R>(file: &[u8], work: impl FnOnce(&mut Engine<'_>) -> R) -> Result<R, Error> {
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

fn run_whole(file: &[u8], input: &[u8]) -> Vec<u8> {
    let work = |engine: &mut Engine<'_>| {
        engine.input(0).unwrap().copy_from(input).unwrap();
        engine.run().unwrap();
        engine.output(0).unwrap().bytes().to_vec()
    };
    with_engine(file, work).unwrap()
}

/// A random stack; `None` if the sizes do not work out.
fn stack(random: &mut Random, endless: bool) -> Option<([usize; 3], Vec<Layer>)> {
    let input = [6 + random.below(14), 5 + random.below(6), 1 + random.below(5)];
    let mut shape = input;
    let mut layers: Vec<Layer> = Vec::new();
    for _ in 0..1 + random.below(4) {
        let kind = match random.below(5) {
            0 | 1 => Kind::Conv { out_channels: 1 + random.below(6) },
            2 => Kind::Depthwise,
            3 => Kind::AveragePool,
            _ => Kind::MaxPool,
        };
        let residual = random.below(3) == 0;
        let mut window = |ends: bool| {
            let (size, dilation) = (1 + random.below(4), 1 + random.below(2));
            let reach = (size as u64 - 1) * dilation as u64;
            let stride = if residual { 1 } else { 1 + random.below(3) };
            let before = if residual { (reach / 2) as usize } else { random.below(reach.min(2) + 1) };
            let after = if residual { reach as usize - before } else { random.below(reach.min(2) + 1) };
            // A pool needs a real value in each window.
            let pad = if ends { (before, after) } else { (before, 0) };
            Window { size, stride, dilation, pad }
        };
        let (rows, columns) = (window(!endless), window(true));
        let kind = if residual { Kind::Depthwise } else { kind };
        let pools = matches!(kind, Kind::AveragePool | Kind::MaxPool);
        if pools && (rows.dilation > 1 || columns.dilation > 1 || rows.pad.0.max(rows.pad.1) >= rows.size) {
            return None;
        }
        layers.push(layer(random, kind, shape, rows, columns)?);
        let before = shape;
        shape = layers.last()?.shape;
        if residual && shape == before {
            let one = Window { size: 1, stride: 1, dilation: 1, pad: (0, 0) };
            layers.push(layer(random, Kind::Residual, shape, one, one)?);
        }
    }
    Some((input, layers))
}

#[test]
fn over_rows_equals_whole() {
    let mut random = Random(0x1234_5678_9abc);
    let (mut tried, mut rings) = (0, 0);
    while tried < 300 {
        let Some((shape, layers)) = stack(&mut random, false) else { continue };
        tried += 1;
        let input: Vec<u8> = random.codes(shape.iter().product()).iter().map(|&x| x as u8).collect();
        let whole_plan = build(shape, &layers, Drive::Whole);
        let expected = run_whole(&whole_plan, &input);
        assert_eq!(
            run_whole(&build(shape, &layers, Drive::Rows(false)), &input),
            expected,
            "{shape:?} {layers:?}"
        );

        let pushed = build(shape, &layers, Drive::Rows(true));
        let answer = with_engine(&pushed, |engine| {
            let mut answers = Vec::new();
            for _ in 0..2 {
                let rows = input.chunks_exact(shape[1] * shape[2]);
                let progress: Vec<Progress> = rows.map(|row| engine.push(row).unwrap()).collect();
                assert_eq!(progress.last(), Some(&Progress::Ready));
                let ready = progress.iter().filter(|p| **p == Progress::Ready).count();
                assert_eq!(ready, 1);
                answers.push(engine.output(0).unwrap().bytes().to_vec());
            }
            assert_eq!(answers[0], answers[1], "a second picture through the same rings");
            answers.remove(0)
        });
        assert_eq!(answer.unwrap(), expected, "pushed: {shape:?} {layers:?}");
        rings += usize::from(pushed.len() < whole_plan.len() + 4096);
    }
    assert_eq!(rings, tried);
}

#[test]
fn over_time_equals_whole() {
    let mut random = Random(0xdead_beef_1234);
    let mut tried = 0;
    while tried < 200 {
        let Some((shape, layers)) = stack(&mut random, true) else { continue };
        tried += 1;
        let input: Vec<u8> = random.codes(shape.iter().product()).iter().map(|&x| x as u8).collect();
        let expected = run_whole(&build(shape, &layers, Drive::Whole), &input);
        let streamed = with_engine(&build(shape, &layers, Drive::Endless), |engine| {
            let mut outputs = Vec::new();
            let mut waiting = None;
            for frame in input.chunks_exact(shape[1] * shape[2]) {
                match engine.step(frame).unwrap() {
                    Progress::Ready => {
                        assert!(
                            matches!(waiting, None | Some(1)),
                            "ready earlier or later than foretold: {waiting:?}"
                        );
                        outputs.extend_from_slice(engine.output(0).unwrap().bytes());
                        waiting = None;
                    }
                    Progress::Pending { frames_left } => {
                        assert!(
                            waiting.is_none_or(|w: u32| w == frames_left + 1),
                            "{waiting:?} {frames_left}"
                        );
                        waiting = Some(frames_left);
                    }
                }
            }
            outputs
        });
        assert_eq!(streamed.unwrap(), expected, "{shape:?} {layers:?}");
    }
}

#[test]
fn a_stream_survives_sleep_and_reset() {
    let mut random = Random(99);
    let rows = Window { size: 3, stride: 1, dilation: 2, pad: (2, 0) };
    let columns = Window { size: 3, stride: 1, dilation: 1, pad: (1, 1) };
    let first = layer(&mut random, Kind::Conv { out_channels: 4 }, [40, 5, 3], rows, columns).unwrap();
    let second = layer(&mut random, Kind::Depthwise, first.shape, rows, columns).unwrap();
    let file = build([40, 5, 3], &[first, second], Drive::Endless);
    let frames: Vec<Vec<u8>> = (0..40).map(|_| random.codes(15).iter().map(|&x| x as u8).collect()).collect();
    with_engine(&file, |engine| {
        let answer = |engine: &mut Engine<'_>, frame: &[u8]| match engine.step(frame).unwrap() {
            Progress::Ready => Some(engine.output(0).unwrap().bytes().to_vec()),
            Progress::Pending { .. } => None,
        };
        let mut all = Vec::new();
        let mut saved = None;
        for (i, frame) in frames.iter().enumerate() {
            if i == 17 {
                let (tick, state) = engine.snapshot();
                saved = Some((tick, state.to_vec()));
            }
            all.push(answer(engine, frame));
        }
        let (tick, state) = saved.unwrap();
        engine.restore(tick, &state).unwrap();
        for (frame, expected) in frames.iter().zip(&all).skip(17) {
            assert_eq!(answer(engine, frame), *expected);
        }
        engine.reset();
        for (frame, expected) in frames.iter().zip(&all) {
            assert_eq!(answer(engine, frame), *expected);
        }
    })
    .unwrap();
}

#[test]
fn a_ring_that_is_too_short_is_refused() {
    let mut random = Random(5);
    let rows = Window { size: 3, stride: 1, dilation: 1, pad: (1, 1) };
    let only = layer(&mut random, Kind::Depthwise, [8, 4, 2], rows, rows).unwrap();
    let file = build([8, 4, 2], &[only], Drive::Rows(true));
    // The plan is sound; with a slot less, or a tick earlier, it is not.
    assert!(Plan::parse(&file).is_ok());
    let plan = Plan::parse(&file).unwrap();
    let (step, operand) = (plan.step(0).unwrap(), plan.operand(0).unwrap());
    let replace = |from: &[u8], to: &[u8]| {
        let at = file.windows(from.len()).position(|w| w == from).unwrap();
        let mut changed = file.clone();
        changed[at..at + to.len()].copy_from_slice(to);
        let crc = crc32(&changed[CRC_FROM..]).to_le_bytes();
        changed[12..16].copy_from_slice(&crc);
        Plan::parse(&changed).map(|_| ()).unwrap_err()
    };
    let schedule = |error: PlanError| matches!(error, PlanError::Record { fault: Fault::Schedule, .. });
    assert!(schedule(replace(&step.to_bytes(), &StepRecord { phase: 0, ..step }.to_bytes())));
    let shorter = OperandRecord { slots: operand.slots - 1, ..operand };
    assert!(schedule(replace(&operand.to_bytes(), &shorter.to_bytes())));
}

#[test]
fn every_damaged_byte_is_noticed() {
    let mut random = Random(77);
    let rows = Window { size: 3, stride: 1, dilation: 1, pad: (1, 1) };
    let only = layer(&mut random, Kind::Conv { out_channels: 3 }, [8, 4, 2], rows, rows).unwrap();
    let file = build([8, 4, 2], &[only], Drive::Rows(true));
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(Plan::parse(&damaged).is_err(), "byte {at}");
        assert!(Plan::parse(&file[..at]).is_err());
    }
}
