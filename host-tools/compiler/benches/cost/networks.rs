//! The networks whose totals tell how good estimates are.

use super::golden::streams;
use mote_compiler::convert::{Converted, Options, Precision, compile, convert, import};
use mote_compiler::quantize::Calibration;
use mote_compiler::stream::{Rows, time};
use mote_emulator::workspace::{data, root};

const MLPERF: &[(&str, &str)] = &[
    ("ad", "ad_int8.tflite"),
    ("kws", "kws_int8.tflite"),
    ("sww", "sww_int8.tflite"),
    ("vww", "vww_int8.tflite"),
    ("resnet8", "ic_resnet8_int8.tflite"),
];

/// The others of `models` have no part in any fit: the tests of `mote estimate` compare with these.
const BUNDLED: &[(&str, &str)] = &[
    ("cifar10", "models/cifar10/cifar10_small.onnx"),
    ("efficientformer", "models/efficientformer/cifar10/efficientformer_cifar10.onnx"),
];

/// Name and plan of each; plans of the same network share the first word.
pub fn all(target: u16) -> Vec<(String, Vec<u8>)> {
    let mut plans = Vec::new();
    let mut add = |name: String, converted: Option<Converted>| match converted {
        Some(converted) => plans.push((name, converted.plan)),
        None => eprintln!("left out {name}: it was not converted"),
    };
    for (name, file) in MLPERF {
        let model = data().and_then(|data| std::fs::read(data.join("mlperf-tiny").join(file)).ok());
        let Some(model) = model else {
            eprintln!("left out {name}: {file} is not in the data folder (MOTE_DATA)");
            continue;
        };
        let options = |rows| Options { target, rows, ..Options::default() };
        add(format!("{name} by rows"), convert(&model, &options(Rows::Auto)).ok());
        add(format!("{name} whole"), convert(&model, &options(Rows::Off)).ok());
        if *name == "sww" {
            let stream = Some(time::Stream::default());
            add(format!("{name} stream"), convert(&model, &Options { stream, ..options(Rows::Off) }).ok());
        }
    }
    for (name, file) in BUNDLED {
        let model = std::fs::read(root().join(file)).unwrap_or_default();
        for (how, rows) in [("by rows", Rows::Auto), ("whole", Rows::Off)] {
            add(format!("{name} {how}"), int8(&model, Options { target, rows, ..Options::default() }));
        }
    }
    for network in streams::networks() {
        let model = network.model();
        let options = Options { target, ..network.options(true) };
        add(format!("{} int8 stream", network.name), int8(&model, options.clone()));
        add(format!("{} f32 stream", network.name), convert(&model, &options).ok());
    }
    plans
}

/// Counts hardly depend on what the network was calibrated with.
fn int8(model: &[u8], options: Options) -> Option<Converted> {
    let graph = import(model, &options).ok()?.graph;
    let lengths: Vec<usize> = graph.inputs.iter().map(|&id| graph.tensor(id).len()).collect();
    let sample = |seed: usize| {
        let value = |i: usize| (((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0) - 1.0;
        lengths.iter().map(|&length| (0..length).map(value).collect()).collect()
    };
    let calibration = Some(Calibration { samples: (0..4).map(sample).collect(), ..Calibration::default() });
    compile(graph, &Options { precision: Precision::Int8, calibration, ..options }).ok()
}
