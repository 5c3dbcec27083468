//! MediaPipe's sparse face detector ("full range"): runs from the weights that its file stores, and equals LiteRT.
//!
//! The file comes from the PyPI package `mediapipe` (0.10.14; `tests/golden/face_sparse.py`). It is not committed; the
//! test looks for it in the folder `face` of `$MOTE_CACHE`, and says so where it is absent.

use crate::golden::{decode, difference, load, range};
use mote_compiler::convert::{Options, Precision, convert};
use mote_compiler::executor::Executor;
use mote_compiler::targets;
use mote_runtime::plan::crc32;
use serde::Deserialize;
use std::path::PathBuf;

const FILE: &str = "face/face_detection_full_range_sparse.tflite";

/// Difference, of the range of each output.
const LIMIT: f32 = 1e-3;

/// `vision/face_sparse.json`.
#[derive(Deserialize)]
struct Golden {
    model_crc32: u32,
    input_shape: [usize; 4],
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    seed: usize,
    outputs: Vec<String>,
}

#[test]
fn the_sparse_face_detector_equals_litert() {
    let folder = std::env::var_os("MOTE_CACHE").map(PathBuf::from);
    let Some(model) = folder.and_then(|folder| std::fs::read(folder.join(FILE)).ok()) else {
        eprintln!("skipped: $MOTE_CACHE/{FILE} is not there");
        return;
    };
    let golden: Golden = load("vision/face_sparse.json");
    assert_eq!(crc32(&model), golden.model_crc32);
    for precision in [Precision::AsIs, Precision::F16] {
        let converted = convert(&model, &Options { precision, ..Options::default() }).unwrap();
        let library = targets::profile(0).library;
        let name = |kernel| library.find(kernel).map_or("", |entry| entry.name);
        let (mut sparse, mut dense_bytes, mut bytes) = (0, 0, 0);
        for step in converted.steps.iter().filter(|step| name(step.packed.kernel).starts_with("spmm_f32")) {
            let choice = step.choice.unwrap();
            assert!(choice.is_sparse() && choice.zeros > 0.5, "{}: {choice:?}", step.name);
            let weight = if precision == Precision::F16 { 2 } else { 4 };
            let [weights, steps, ..] = &step.packed.blobs[..] else { panic!("{}", step.name) };
            bytes += weights.len() + steps.len();
            dense_bytes += (weights.len() as f64 / (1.0 - choice.zeros)) as usize;
            assert!(weights.len() + steps.len() <= steps.len() * (weight * choice.block.len() + 1));
            sparse += 1;
        }
        assert!(sparse >= 10, "{sparse} sparse layers");
        let mut executor = Executor::new(&converted.plan).unwrap();
        for case in &golden.cases {
            let outputs = executor.run_reals(&[&picture(case.seed, golden.input_shape)]).unwrap();
            assert_eq!(outputs.len(), case.outputs.len());
            for (own, theirs) in outputs.iter().zip(&case.outputs) {
                let theirs = decode(theirs, f32::from_le_bytes);
                let off = difference(own, &theirs) / range(&theirs);
                println!(
                    "{precision:?}: {sparse} sparse layers of {} steps, {bytes} bytes for {dense_bytes}; off by {off:e} of the range",
                    converted.steps.len()
                );
                assert!(off <= LIMIT, "{off}");
            }
        }
    }
}

/// As `face_sparse.py` draws it.
fn picture(seed: usize, [_, height, width, channels]: [usize; 4]) -> Vec<f32> {
    let value = |index: usize| {
        let (y, x, c) = (index / channels / width, index / channels % width, index % channels);
        let noise = (((index as u64 * 2_654_435_761 + seed as u64) % (1 << 32)) >> 16) % 64;
        let wave = (y * (3 + seed % 5) + x * (2 + c)) % 193;
        (wave as f32 + noise as f32 - 128.0) / 128.0
    };
    (0..height * width * channels).map(value).collect()
}
