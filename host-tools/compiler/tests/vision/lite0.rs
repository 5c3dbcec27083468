//! EfficientNet-Lite0 with its ImageNet weights: in f32 against ONNX Runtime, and quantized by this compiler.
//!
//! `lite0.py` makes the network and the calibration pictures. They are too large to commit; the test looks for them in
//! the folder `lite0` of `$MOTE_CACHE`, or of `../cache` beside the repository, and says so where they are absent.

use crate::golden::{decode, difference, load, path, range, workspace};
use mote_compiler::convert::{Options, Precision, convert};
use mote_compiler::executor::Executor;
use mote_compiler::quantize::Calibration;
use mote_runtime::plan::crc32;
use serde::Deserialize;
use std::path::PathBuf;

/// Signal-to-noise at the logits, in decibels: on the photographs, which calibration has not seen, and on the pictures
/// it has.
const LEAST_UNSEEN: f64 = 24.0;
const LEAST_SEEN: f64 = 24.0;

/// Difference in f32, of the range of the logits.
const LIMIT: f32 = 1e-4;

/// `vision/lite0.json`.
#[derive(Deserialize)]
struct Golden {
    onnx_crc32: u32,
    calibration_crc32: u32,
    pictures: Vec<Picture>,
}

#[derive(Deserialize)]
struct Picture {
    file: String,
    pixels_crc32: u32,
    logits: String,
}

/// ImageNet's classes that name what the photograph shows: domestic cats (five), espresso.
const RIGHT: [(&str, std::ops::RangeInclusive<usize>); 2] =
    [("lite0_chelsea.png", 281..=285), ("lite0_coffee.png", 967..=967)];

#[test]
fn trained_weights() {
    let golden: Golden = load("vision/lite0.json");
    let named = std::env::var_os("MOTE_CACHE").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| workspace().join("../cache")).join("lite0");
    let read = |name: &str| std::fs::read(folder.join(name)).ok();
    let (Some(network), Some(calibration)) = (read("lite0.onnx"), read("calibration.npy")) else {
        println!("skipped: EfficientNet-Lite0 is not in $MOTE_CACHE/lite0; tests/golden/lite0.py makes it");
        return;
    };
    assert_eq!(crc32(&network), golden.onnx_crc32, "another network");
    let pixels: Vec<u8> = npyz::NpyFile::new(&calibration[..]).unwrap().into_vec().unwrap();
    assert_eq!(crc32(&pixels), golden.calibration_crc32, "other calibration pictures");
    let crops: Vec<Vec<f32>> = pixels.chunks_exact(224 * 224 * 3).map(input).collect();
    let photographs: Vec<Vec<f32>> = golden.pictures.iter().map(photograph).collect();

    let float = convert(&network, &Options::default()).unwrap();
    let mut float = Executor::new(&float.plan).unwrap();
    let mut expected = Vec::new();
    for (picture, golden) in photographs.iter().zip(&golden.pictures) {
        let own = float.run_reals(&[picture]).unwrap().remove(0);
        let theirs = decode(&golden.logits, f32::from_le_bytes);
        let error = difference(&own, &theirs) / range(&theirs);
        println!("{} in f32: {error:.1e} of the range, limit {LIMIT:.0e}", golden.file);
        assert!(error <= LIMIT, "{}: {error:e}", golden.file);
        expected.push(theirs);
    }

    let samples = crops.iter().map(|crop| vec![crop.clone()]).collect();
    let calibration = Some(Calibration::new(samples));
    let options = Options { precision: Precision::Int8, calibration, ..Options::default() };
    let converted = convert(&network, &options).unwrap();
    let report = converted.quantization.unwrap();
    println!("{report}");
    assert_eq!(report.float_nodes, []);
    let mut int8 = Executor::new(&converted.plan).unwrap();
    let mut run = |picture: &Vec<f32>| int8.run_reals(&[picture]).unwrap().remove(0);

    let found: Vec<Vec<f32>> = photographs.iter().map(&mut run).collect();
    for ((picture, logits), (file, classes)) in golden.pictures.iter().zip(&found).zip(RIGHT) {
        assert_eq!(picture.file, file);
        let class = (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap();
        println!("{file} in int8: class {class}");
        assert!(classes.contains(&class), "{file}: class {class}");
    }
    let unseen = decibels(&expected, &found);
    let expected: Vec<Vec<f32>> =
        crops.iter().map(|crop| float.run_reals(&[crop]).unwrap().remove(0)).collect();
    let seen = decibels(&expected, &crops.iter().map(run).collect::<Vec<_>>());
    println!(
        "EfficientNet-Lite0 in int8: {unseen:.1} dB on the photographs, {seen:.1} dB on calibration pictures"
    );
    assert!(unseen >= LEAST_UNSEEN && seen >= LEAST_SEEN, "{unseen:.1} dB and {seen:.1} dB");
}

/// TensorFlow's preprocessing for Lite networks.
fn input(pixels: &[u8]) -> Vec<f32> {
    pixels.iter().map(|&pixel| (f32::from(pixel) - 127.0) / 128.0).collect()
}

fn photograph(picture: &Picture) -> Vec<f32> {
    let image = image::open(path(&format!("vision/{}", picture.file))).unwrap().to_rgb8();
    assert_eq!(crc32(image.as_raw()), picture.pixels_crc32, "{}: other pixels", picture.file);
    input(image.as_raw())
}

/// Signal-to-noise ratio over all logits together.
fn decibels(expected: &[Vec<f32>], found: &[Vec<f32>]) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (&x, &y) in expected.iter().flatten().zip(found.iter().flatten()) {
        signal += f64::from(x) * f64::from(x);
        noise += f64::from(x - y) * f64::from(x - y);
    }
    10.0 * (signal / noise).log10()
}
