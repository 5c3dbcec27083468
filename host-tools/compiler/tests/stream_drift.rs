//! Every operator with a state after 100,000 frames: what the stream gives then is what a fresh window over its last
//! frames gives, in f32 within rounding and in int8 in every byte.

use mote_compiler::convert::{Options, Precision, convert};
use mote_compiler::executor::{Executor, encode};
use mote_compiler::quantize::Calibration;
use mote_runtime::engine::Progress;

// Its other readers are for other tests.
#[allow(dead_code)]
mod golden;

use golden::difference;
use golden::streams::{Stream, vectors};

const FRAMES: usize = 100_000;

/// Largest difference in f32, relative to the larger of 1 and the range of the results.
const TOLERANCE: f32 = 1e-5;

/// Frames after which a recurrent layer has forgotten where it started; it has no window.
const FORGOTTEN: usize = 2000;

#[test]
fn f32_stays_where_it_is() {
    let mut worst = (0f32, String::new());
    let streams = vectors();
    for stream in &streams {
        let (of_stream, fresh) = last_results(stream, Precision::AsIs);
        let range = fresh.iter().fold(1f32, |range, x| range.max(x.abs()));
        let error = difference(&of_stream, &fresh) / range;
        assert!(error <= TOLERANCE, "{}: {error:e}", stream.name);
        if error >= worst.0 {
            worst = (error, stream.name.clone());
        }
    }
    println!("{} networks, {FRAMES} frames: largest difference {:.1e} ({})", streams.len(), worst.0, worst.1);
    assert!(streams.len() >= 55);
}

#[test]
fn int8_stays_the_same() {
    let streams = vectors();
    for stream in &streams {
        let (of_stream, fresh) = last_results(stream, Precision::Int8);
        assert_eq!(of_stream, fresh, "{}", stream.name);
    }
    println!("{} networks, {FRAMES} frames: equal in every byte", streams.len());
}

/// The last result of a long stream, and the same result computed afresh.
fn last_results(stream: &Stream, precision: Precision) -> (Vec<f32>, Vec<f32>) {
    let model = stream.model();
    let options = |by_frames| {
        let samples = (0..8).map(|i| vec![stream.window(i * stream.length())]).collect();
        let calibration = (precision == Precision::Int8).then(|| Calibration::new(samples));
        Options { precision, calibration, ..stream.options(by_frames) }
    };
    let plan = |by_frames| {
        convert(&model, &options(by_frames)).unwrap_or_else(|e| panic!("{}: {e}", stream.name)).plan
    };
    // Windows of strided networks start at multiples of the hop, those of the file's positions at multiples of the rows.
    let grid = stream.every() * stream.positions.unwrap_or(1);
    let start = FRAMES / grid * grid;
    let end = start + stream.length();
    let step_wise = plan(true);
    let of_stream = run(&step_wise, stream, 0..end);
    let recurrent = ["gru", "lstm"].iter().any(|kind| stream.name.contains(kind));
    let fresh = if recurrent {
        run(&step_wise, stream, end - FORGOTTEN..end)
    } else {
        let mut executor = Executor::new(&plan(false)).unwrap();
        let whole = executor.run_reals(&[&stream.window(start)]).unwrap().remove(0);
        let (_, results) = stream.windows().remove(0);
        let (last, _) = *results.last().unwrap();
        stream.slice(&whole, last)
    };
    (of_stream, fresh)
}

/// The last result of a stream of these frames.
fn run(plan: &[u8], stream: &Stream, frames: std::ops::Range<usize>) -> Vec<f32> {
    let mut executor = Executor::new(plan).unwrap();
    let mut result = Vec::new();
    executor
        .with(|engine| {
            let format = engine.input_format(0)?;
            for t in frames {
                if engine.step(&encode(&format, &stream.frame(t))?)? == Progress::Ready {
                    result = engine.output(0)?.reals().collect();
                }
            }
            Ok(())
        })
        .unwrap();
    result
}
