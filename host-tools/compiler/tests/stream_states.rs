//! Streams over one plan: each has its state and nothing else. Several run side by side; one sleeps as a counter and some
//! bytes and goes on in another engine, in memory that held something else; and no stream is too long for its counter.

use mote_compiler::convert::{Converted, Options, Precision, convert};
use mote_compiler::executor::{AlignedBytes, encode};
use mote_compiler::quantize::Calibration;
use mote_compiler::targets;
use mote_runtime::engine::{Engine, Progress};
use mote_runtime::kernels::KernelTable;
use mote_runtime::plan::Plan;

// Its other readers are for other tests.
#[allow(dead_code)]
mod golden;

use golden::streams::{Stream, networks, vectors};

const FRAMES: usize = 150;
const STREAMS: usize = 2;

/// What a step led to, and the bytes of the result.
type Answer = (Progress, Vec<u8>);

#[test]
fn streams_side_by_side() {
    for_each_network(|name, converted, frames| {
        let alone: Vec<Vec<Answer>> = frames
            .iter()
            .map(|frames| with_engines(converted, 1, |one| answers(&mut one[0], frames)))
            .collect();
        assert!(alone.iter().all(|answers| answers.iter().any(|(progress, _)| *progress == Progress::Ready)));
        assert_ne!(alone[0], alone[1], "{name}");
        let together = with_engines(converted, STREAMS, |engines| {
            let mut all: Vec<Vec<Answer>> = vec![Vec::new(); STREAMS];
            for t in 0..frames.iter().map(Vec::len).min().unwrap() {
                for ((engine, frames), all) in engines.iter_mut().zip(frames).zip(&mut all) {
                    all.push(answer(engine, &frames[t]));
                }
            }
            all
        });
        assert_eq!(together, alone, "{name}");
    });
}

/// One engine serves all streams in turn; what it computes with holds rubbish in between.
#[test]
fn streams_take_turns_in_one_memory() {
    for_each_network(|name, converted, frames| {
        let alone: Vec<Vec<Answer>> = frames
            .iter()
            .map(|frames| with_engines(converted, 1, |one| answers(&mut one[0], frames)))
            .collect();
        let mut asleep = with_engines(converted, 1, |one| vec![saved(&one[0]); STREAMS]);
        let mut all: Vec<Vec<Answer>> = vec![Vec::new(); STREAMS];
        let mut t = 0;
        while t < frames[0].len() {
            let turn = t..(t + 1 + t % 5).min(frames[0].len());
            for s in 0..STREAMS {
                let (tick, state) = &asleep[s];
                asleep[s] = with_engines(converted, 1, |one| {
                    one[0].restore(*tick, state).unwrap();
                    all[s].extend(answers(&mut one[0], &frames[s][turn.clone()]));
                    saved(&one[0])
                });
            }
            t = turn.end;
        }
        assert_eq!(all, alone, "{name}");
    });
}

/// The counter goes back by whole periods before it ends, and nobody notices.
#[test]
fn streams_outlive_their_counter() {
    let mut went_back = 0;
    for_each_network(|name, converted, frames| {
        let (before, after) = frames[0].split_at(frames[0].len() - 40);
        let period = converted.regions[0].period as u32;
        with_engines(converted, 1, |one| {
            let engine = &mut one[0];
            answers(engine, before);
            let (tick, state) = saved(engine);
            let expected = answers(engine, after);
            let late = tick + ((1 << 30) - 10 - tick) / period * period;
            engine.restore(late, &state).unwrap();
            assert_eq!(answers(engine, after), expected, "{name}");
            went_back += usize::from(saved(engine).0 < late);
        });
    });
    // Where the period is longer than what follows, that may end before the counter does.
    println!("{went_back} counters went back");
    assert!(went_back >= 50);
}

/// Calls `check` with every small and trained network in f32, and the trained ones in int8, and the frames of its streams.
fn for_each_network(mut check: impl FnMut(&str, &Converted, &[Vec<Vec<u8>>])) {
    let mut count = 0;
    let all = vectors().into_iter().map(|stream| (stream, Precision::AsIs));
    let trained = networks().into_iter().flat_map(|stream| {
        let again = networks().into_iter().find(|other| other.name == stream.name).unwrap();
        [(stream, Precision::AsIs), (again, Precision::Int8)]
    });
    for (stream, precision) in all.chain(trained) {
        let samples = vec![vec![stream.window(0)]];
        let calibration = (precision == Precision::Int8).then(|| Calibration::new(samples));
        let options = Options { precision, calibration, ..stream.options(true) };
        let converted = convert(&stream.model(), &options).unwrap();
        check(&stream.name, &converted, &frames(&converted, &stream));
        count += 1;
    }
    assert!(count >= 63, "{count}");
}

/// Frames of each stream, as the plan takes them.
fn frames(converted: &Converted, stream: &Stream) -> Vec<Vec<Vec<u8>>> {
    let length = FRAMES.max(2 * stream.length());
    with_engines(converted, 1, |one| {
        let format = one[0].input_format(0).unwrap();
        let frame = |t: usize| encode(&format, &stream.frame(t)).unwrap();
        (0..STREAMS).map(|s| (0..length).map(|t| frame(10_000 * s + t)).collect()).collect()
    })
}

/// Lends out engines over one plan, each with memory of its own that is full of rubbish.
fn with_engines<R>(converted: &Converted, count: usize, work: impl FnOnce(&mut [Engine<'_>]) -> R) -> R {
    let bytes = AlignedBytes::from_slice(&converted.plan);
    let plan = Plan::parse(bytes.as_ref()).unwrap();
    let table: KernelTable<64> = KernelTable::link(&plan, targets::library(&plan).entries).unwrap();
    let rubbish = |len: usize| AlignedBytes::from_slice(&vec![0xa5; len]);
    let mut memory: Vec<_> =
        (0..count).map(|_| (rubbish(plan.arena_bytes()), rubbish(plan.state_bytes()))).collect();
    let mut engines: Vec<Engine<'_>> = memory
        .iter_mut()
        .map(|(arena, state)| Engine::new(&plan, table.as_slice(), arena.as_mut(), state.as_mut()).unwrap())
        .collect();
    work(&mut engines)
}

fn answer(engine: &mut Engine<'_>, frame: &[u8]) -> Answer {
    let progress = engine.step(frame).unwrap();
    let ready = progress == Progress::Ready;
    (progress, if ready { engine.output(0).unwrap().bytes().to_vec() } else { Vec::new() })
}

fn answers(engine: &mut Engine<'_>, frames: &[Vec<u8>]) -> Vec<Answer> {
    frames.iter().map(|frame| answer(engine, frame)).collect()
}

fn saved(engine: &Engine<'_>) -> (u32, Vec<u8>) {
    let (tick, state) = engine.snapshot();
    (tick, state.to_vec())
}
