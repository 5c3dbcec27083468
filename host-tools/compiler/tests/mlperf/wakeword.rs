//! The streaming wakeword frame by frame: the step-wise plan against the reference's results for every window.

use crate::golden::data_file;
use crate::stored;
use mote_audio::{Rounding, quantize, wakeword};
use mote_compiler::convert::{Options, convert};
use mote_compiler::executor::Executor;
use mote_compiler::stream::time::Stream;
use mote_runtime::engine::Progress;

const FRAME: usize = 40;

/// Results and the frames at which they were ready.
fn stream(plan: &[u8], frames: &[i8]) -> Vec<(usize, Vec<i8>)> {
    let mut executor = Executor::new(plan).unwrap();
    let results = executor.with(|engine| {
        let mut results = Vec::new();
        for (index, frame) in frames.chunks_exact(FRAME).enumerate() {
            let frame: Vec<u8> = frame.iter().map(|&code| code as u8).collect();
            if engine.step(&frame)? == Progress::Ready {
                results.push((index, engine.output(0)?.as_i8()?.to_vec()));
            }
        }
        Ok(results)
    });
    results.unwrap()
}

fn numbers(archive: &[u8], name: &str) -> Vec<i8> {
    npyz::NpyFile::new(stored(archive, name).unwrap()).unwrap().into_vec().unwrap()
}

#[test]
fn step_wise_equals_the_reference() {
    let (Some(model), Some(archive)) =
        (data_file("mlperf-tiny/sww_int8.tflite"), data_file("golden/sww_int8_stream.npz"))
    else {
        return;
    };
    let options = Options { stream: Some(Stream::default()), ..Options::default() };
    let converted = convert(&model, &options).unwrap();
    let macs: u64 = converted.steps.iter().map(|step| step.macs).sum();
    let results = stream(&converted.plan, &numbers(&archive, "frames.npy"));
    let expected = numbers(&archive, "softmax_int8.npy");
    println!(
        "sww: {} results, first ready at frame {}; {macs} MACs a frame, {} bytes of state, {} of arena",
        results.len(),
        results[0].0,
        converted.schedule.state_bytes,
        converted.schedule.arena
    );
    assert_eq!((results.len(), results[0].0), (282, 29));
    assert!(macs <= 46_040);
    assert!(converted.schedule.state_bytes <= 3_600);
    for ((_, result), expected) in results.iter().zip(expected.chunks_exact(3)) {
        assert_eq!(result, expected);
    }
}

/// The whole way on a recording: samples, front end, steps; against the window-wise network on the same frames.
#[test]
fn detections_equal_those_of_windows() {
    let (Some(model), Some(wav)) =
        (data_file("mlperf-tiny/sww_int8.tflite"), data_file("mlperf-tiny/sww_easy10s.wav"))
    else {
        return;
    };
    let mut reader = hound::WavReader::new(&wav[..]).unwrap();
    let channels = usize::from(reader.spec().channels);
    let samples: Vec<i16> = reader.samples().step_by(channels).map(Result::unwrap).collect();
    let (mut front, mut rest, mut frame, mut frames) =
        (wakeword::NEW, &samples[..], [0.0; FRAME], Vec::new());
    let clip = convert(&model, &Options::default()).unwrap();
    let mut executor = Executor::new(&clip.plan).unwrap();
    let (scale, zero) = executor.with(|engine| Ok(engine.input_format(0)?.quant().unwrap())).unwrap();
    while let Some(left) = front.push(rest, &mut frame) {
        let mut codes = [0; FRAME];
        quantize(&frame, scale, zero as i8, Rounding::TowardsZero, &mut codes);
        frames.extend(codes);
        rest = left;
    }
    let options = Options { stream: Some(Stream::default()), ..Options::default() };
    let step_wise = stream(&convert(&model, &options).unwrap().plan, &frames);
    let windows: Vec<Vec<i8>> = frames
        .windows(30 * FRAME)
        .step_by(FRAME)
        .map(|window| {
            let bytes: Vec<u8> = window.iter().map(|&code| code as u8).collect();
            executor.run(&[&bytes]).unwrap().remove(0).iter().map(|&byte| byte as i8).collect()
        })
        .collect();
    let heard = step_wise.iter().filter(|(_, result)| result[0] > 0).count();
    println!("{} frames of sound, {heard} of {} results say the word", frames.len() / FRAME, step_wise.len());
    assert!(heard > 0);
    assert_eq!(step_wise.into_iter().map(|(_, result)| result).collect::<Vec<_>>(), windows);
}
