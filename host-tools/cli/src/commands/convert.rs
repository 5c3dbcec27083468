//! `mote convert`: a model file to a plan.

use crate::failure::{Failure, Outcome, read, write};
use crate::picture::{self, Recipe};
use crate::{npy, report};
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mote_compiler::convert::{ConvertError, Converted, Options, Precision, compile, import};
use mote_compiler::graph::Graph;
use mote_compiler::quantize::{Calibration, Method};
use mote_compiler::stream::Rows;
use mote_compiler::stream::time::Stream;
use mote_compiler::targets;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Arguments {
    /// Model file (.onnx or .tflite)
    model: PathBuf,
    /// Plan to write
    #[arg(short, long)]
    output: PathBuf,
    /// Machine that the plan is packed for
    #[arg(long, default_value = "portable")]
    target: String,
    /// Number format; without it the file's own
    #[arg(long)]
    dtype: Option<Dtype>,
    /// Calibration samples for int8: a folder of pictures, a .npy file with a leading sample axis, or `random`
    #[arg(long, value_name = "DIR|X.npy|random")]
    calibrate: Option<String>,
    /// How activation ranges are found
    #[arg(long, default_value = "mse")]
    ranges: Ranges,
    /// How weights become codes
    #[arg(long, default_value = "by-error")]
    rounding: WeightRounding,
    /// Move scales between neighbouring layers first, so that their channels have similar ranges
    #[arg(long)]
    equalize: bool,
    /// At most this many calibration samples
    #[arg(long, default_value_t = 128)]
    calibration_limit: usize,
    /// How pictures become inputs (JSON: size, mean, std, resize, crop_from, order); stored in the plan
    #[arg(long, value_name = "FILE.json")]
    preprocess: Option<PathBuf>,
    /// Class names, one a line; stored in the plan
    #[arg(long, value_name = "FILE.txt")]
    labels: Option<PathBuf>,
    /// Regions that run row by row, so that no tensor of theirs exists as a whole
    #[arg(long, default_value = "auto")]
    rows: RowsChoice,
    /// Run frame by frame instead of clip by clip; refused with the reason where that is not exactly equal
    #[arg(long)]
    stream: bool,
    /// An input and the output that is this input of the next step, for networks that take one step at a time (ONNX;
    /// pairs named s0 and ns0, s1 and ns1, .. are found without it); may be given several times
    #[arg(long = "state", value_name = "IN:OUT", value_parser = state)]
    states: Vec<(String, String)>,
    /// Time axis of the input (after conversion to channels last), with --stream
    #[arg(long, requires = "stream", value_name = "N")]
    time_axis: Option<usize>,
    /// Frames from one window to the next, with --stream; without it the fewest that the network allows
    #[arg(long, requires = "stream", value_name = "H")]
    hop: Option<usize>,
    /// The network runs over a whole stream: its padding over time stands at the start of the stream
    #[arg(long, requires = "stream")]
    whole_stream: bool,
    /// Leave names and labels out of the plan
    #[arg(long)]
    strip: bool,
    /// Keep ONNX picture inputs channels first
    #[arg(long)]
    keep_layout: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    Int8,
    F32,
    F16,
}

#[derive(Clone, Copy, ValueEnum)]
enum Ranges {
    MinMax,
    Percentile,
    Mse,
}

#[derive(Clone, Copy, ValueEnum)]
enum WeightRounding {
    /// So that the layer's output errs least on the calibration samples
    ByError,
    /// Each to the nearest code
    Nearest,
}

#[derive(Clone, Copy, ValueEnum)]
enum RowsChoice {
    /// Where they lower the peak of memory
    Auto,
    /// Whole tensors only
    Off,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let bytes = read(&arguments.model)?;
    let target = targets::by_name(&arguments.target).ok_or_else(|| Failure::Hint {
        message: format!("unknown target `{}`", arguments.target),
        help: format!(
            "targets: {}",
            targets::PROFILES.iter().map(|profile| profile.name).collect::<Vec<_>>().join(", ")
        ),
    })?;
    let failure =
        |source: ConvertError| Failure::Convert { path: arguments.model.clone(), source: source.into() };
    let mut options = Options {
        precision: match arguments.dtype {
            None => Precision::AsIs,
            Some(Dtype::Int8) => Precision::Int8,
            Some(Dtype::F32) => Precision::F32,
            Some(Dtype::F16) => Precision::F16,
        },
        stream: stream(arguments),
        states: arguments.states.clone(),
        target: target.code,
        strip: arguments.strip,
        keep_layout: arguments.keep_layout,
        rows: match arguments.rows {
            RowsChoice::Auto => Rows::Auto,
            RowsChoice::Off => Rows::Off,
        },
        ..Options::default()
    };
    if let Some(path) = &arguments.labels {
        options.labels = String::from_utf8_lossy(&read(path)?).lines().map(str::to_owned).collect();
    }
    let recipe = arguments.preprocess.as_deref().map(Recipe::load).transpose()?;
    let graph = import(&bytes, &options).map_err(|e| failure(e.into()))?.graph;
    if let Some(recipe) = &recipe {
        options.preprocess.push(recipe.record(0, channels_first(input_shape(&graph)))?);
    }
    if let Some(source) = &arguments.calibrate {
        let samples = samples(source, &graph, &options, arguments.calibration_limit)?;
        options.calibration = Some(Calibration {
            samples,
            method: match arguments.ranges {
                Ranges::MinMax => Method::MinMax,
                Ranges::Percentile => Method::Percentile(99.99),
                Ranges::Mse => Method::Mse,
            },
            equalize: arguments.equalize,
            round_by_error: matches!(arguments.rounding, WeightRounding::ByError),
            ..Calibration::default()
        });
    }
    let bar = spinner(arguments.json, "converting");
    let converted = compile(graph, &options);
    bar.finish_and_clear();
    let converted = converted.map_err(failure)?;
    write(&arguments.output, &converted.plan)?;
    tell(&converted, arguments);
    Ok(())
}

fn state(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((input, output)) if !input.is_empty() && !output.is_empty() => Ok((input.into(), output.into())),
        _ => Err("give the names of an input and an output, as in `--state h:h_next`".into()),
    }
}

fn stream(arguments: &Arguments) -> Option<Stream> {
    let (axis, hop, whole) = (arguments.time_axis, arguments.hop, arguments.whole_stream);
    arguments.stream.then_some(Stream { axis, hop, whole })
}

fn tell(converted: &Converted, arguments: &Arguments) {
    if arguments.json {
        let mut value = report::summary(&converted.plan);
        value["plan_bytes"] = json!(converted.plan.len());
        value["arena_lower_bound"] = json!(converted.schedule.lower_bound);
        println!("{value:#}");
        return;
    }
    println!("{} -> {}", arguments.model.display(), arguments.output.display());
    print!("{}", report::headline(&converted.plan));
    if let Some(quantization) = &converted.quantization {
        print!("{quantization}");
    }
}

/// Shape of the network's first input.
pub fn input_shape(graph: &Graph) -> &[usize] {
    graph.inputs.first().map_or(&[], |&id| &graph.tensor(id).shape)
}

/// Whether a picture input of this shape has its channels before rows and columns.
pub fn channels_first(shape: &[usize]) -> bool {
    matches!(*shape, [_, c, h, w] if c <= 4 && h > 4 && w > 4)
}

/// Calibration samples from a folder of pictures, a .npy file, or (only by name) random numbers.
pub fn samples(
    source: &str,
    graph: &Graph,
    options: &Options,
    limit: usize,
) -> Result<Vec<Vec<Vec<f32>>>, Failure> {
    let lengths: Vec<usize> = graph.inputs.iter().map(|&id| graph.tensor(id).len()).collect();
    let path = Path::new(source);
    if source == "random" {
        return Ok((0..limit.min(16))
            .map(|seed| lengths.iter().map(|&n| random(seed as u64, n)).collect())
            .collect());
    }
    let [length] = lengths[..] else {
        return Err(Failure::Usage(format!(
            "the network has {} inputs; calibration by file or folder serves one input",
            lengths.len()
        )));
    };
    if path.is_dir() {
        let recipe = options.preprocess.first().ok_or_else(|| Failure::Hint {
            message: "calibration by pictures needs to know how pictures become inputs".into(),
            help: "give --preprocess FILE.json with size, mean and std".into(),
        })?;
        let pictures = picture::list(path)?;
        let step = (pictures.len() / limit.max(1)).max(1);
        let samples: Result<Vec<_>, Failure> = pictures
            .iter()
            .step_by(step)
            .take(limit)
            .map(|(path, _)| Ok(vec![picture::load(path, recipe)?]))
            .collect();
        return samples;
    }
    let tensor = npy::load(path)?;
    let values: Vec<f32> = match tensor.numbers {
        npy::Numbers::F32(values) => values,
        npy::Numbers::I8(values) => values.iter().map(|&v| v.into()).collect(),
    };
    if values.is_empty() || !values.len().is_multiple_of(length) {
        let reason = format!("{} numbers are not a multiple of the input's {length}", values.len());
        return Err(Failure::Npy { path: path.into(), reason });
    }
    Ok(values.chunks_exact(length).take(limit).map(|sample| vec![sample.to_vec()]).collect())
}

/// Roughly normal numbers.
fn random(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    (0..count).map(|_| (next() + next() + next() + next() - 2.0) * 1.73).collect()
}

/// A sign of life for work without a known length; silent where a program reads.
pub fn spinner(silent: bool, message: &'static str) -> ProgressBar {
    if silent {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner().with_style(ProgressStyle::default_spinner()).with_message(message);
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}
