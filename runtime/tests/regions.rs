//! The central idea, proved on hand-built plans: a stack of layers run over rows, or over time, gives the same bytes
//! as the same stack on whole tensors, for every padding, stride and dilation, with rings instead of tensors.
#![cfg(feature = "pack")]

#[path = "support/stack.rs"]
mod stacks;

use mote_runtime::engine::Progress;
use mote_runtime::plan::*;
use mote_runtime::{Engine, Error, Plan};
use stacks::*;

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
        let work = |engine: &mut Engine<'_>| {
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
        };
        for drive in [Drive::Endless, Drive::Apart] {
            let streamed = with_engine(&build(shape, &layers, drive), work);
            assert_eq!(streamed.unwrap(), expected, "{drive:?}: {shape:?} {layers:?}");
        }
    }
}

#[test]
fn a_stream_survives_sleep_and_reset() {
    let mut random = Random(99);
    let rows = Window { size: 3, stride: 1, dilation: 2, pad: (2, 0) };
    let columns = Window { size: 3, stride: 1, dilation: 1, pad: (1, 1) };
    let first = layer(&mut random, Kind::Conv { out_channels: 4 }, [40, 5, 3], rows, columns).unwrap();
    let second = layer(&mut random, Kind::Depthwise, first.shape, rows, columns).unwrap();
    let layers = [first, second];
    [Drive::Endless, Drive::Apart].into_iter().for_each(|drive| sleep_and_reset(&mut random, &layers, drive));
}

fn sleep_and_reset(random: &mut Random, layers: &[Layer], drive: Drive) {
    let file = build([40, 5, 3], layers, drive);
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
        assert_eq!(engine.restore(u32::MAX, &state), Err(Error::Snapshot { tick: u32::MAX }));
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
fn a_newest_slice_that_is_not_there_is_refused() {
    let mut random = Random(6);
    let rows = Window { size: 3, stride: 1, dilation: 1, pad: (2, 0) };
    let only = layer(&mut random, Kind::Depthwise, [8, 4, 2], rows, rows).unwrap();
    let file = build([8, 4, 2], &[only], Drive::Apart);
    let plan = Plan::parse(&file).unwrap();
    let operands: Vec<OperandRecord> = (0..plan.operands()).map_while(|i| plan.operand(i)).collect();
    let apart = operands.iter().position(|operand| operand.newest != 0).unwrap();
    assert_eq!(operands[apart].slots, 2, "a window of three");
    let with = |index: usize, change: OperandRecord| {
        let bytes = operands[index].to_bytes();
        let at = (0..file.len() - bytes.len()).find(|&at| file[at..].starts_with(&bytes)).unwrap();
        let mut changed = file.clone();
        changed[at..at + bytes.len()].copy_from_slice(&change.to_bytes());
        let crc = crc32(&changed[CRC_FROM..]).to_le_bytes();
        changed[12..16].copy_from_slice(&crc);
        match Plan::parse(&changed).unwrap_err() {
            PlanError::Record { fault, .. } => fault,
            other => panic!("{other}"),
        }
    };
    let o = operands[apart];
    // All slices in the ring, where the newest is not yet; a tensor that nobody makes; none at all; a frame later.
    assert_eq!(with(apart, OperandRecord { newest: 0, ..o }), Fault::Schedule);
    assert_eq!(with(apart, OperandRecord { newest: o.tensor + 1, ..o }), Fault::Schedule);
    assert_eq!(with(apart, OperandRecord { newest: u16::MAX, ..o }), Fault::Range);
    assert_eq!(with(apart, OperandRecord { outer_pad: o.outer_pad - 1, ..o }), Fault::Schedule);
    // Only what a step reads has a newest slice.
    assert!(with(apart + 1, OperandRecord { newest: o.newest, ..operands[apart + 1] }) == Fault::Alias);
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
