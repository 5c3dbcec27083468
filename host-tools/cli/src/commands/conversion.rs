//! How a model becomes a plan: the arguments that all commands share which take a model, and the conversion.

use super::family::Family;
use crate::failure::{Failure, Outcome};
use crate::files::{lines, read};
use crate::npy;
use crate::picture::{self, Recipe};
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use mote_compiler::convert::{Converted, Goal, Options, Precision, Sparsity, compile, import};
use mote_compiler::graph::Graph;
use mote_compiler::prune::Prune;
use mote_compiler::quantize::{Calibration, Method, WeightBits};
use mote_compiler::stream::Rows;
use mote_compiler::stream::time::Stream;
use mote_compiler::train;
use mote_runtime::kernels::sparse::Block;
use mote_runtime::plan::LABEL;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What is to become of a model.
#[derive(Args)]
pub struct Conversion {
    /// Model file (.onnx or .tflite), or weights (.safetensors) with --arch; to profile or to estimate, also a plan (.mote)
    #[arg(required_unless_present = "arch")]
    model: Option<PathBuf>,
    /// Number format; without it the file's own. A float network becomes int8 with --calibrate; f16 stores the weights
    /// of a float network in half the bytes
    #[arg(long)]
    dtype: Option<Dtype>,
    /// How pictures become inputs; stored in the plan, where `run`, `eval` and --calibrate find it. A JSON file such as
    ///
    /// {"size": [224, 224], "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    ///
    /// size: rows and columns; mean and std: of each channel, of values from 0 to 1. Optional: "resize" (nearest,
    /// bilinear, bicubic), "crop_from" (resize the short side to this, then crop the centre; without it pictures are
    /// stretched), "order" (rgb, bgr, grey)
    #[arg(long, value_name = "FILE.json")]
    preprocess: Option<PathBuf>,
    /// Class names, one a line; stored in the plan
    #[arg(long, value_name = "FILE.txt")]
    labels: Option<PathBuf>,
    /// Size of an axis that the ONNX file leaves open, by its symbol there, or by input and axis as `x[2]=48`; repeat for
    /// more
    #[arg(long = "size", value_name = "SYMBOL=N", value_parser = size)]
    sizes: Vec<(String, usize)>,
    /// Keep ONNX picture inputs channels first; without it plans have rows, columns, channels
    #[arg(long)]
    keep_layout: bool,
    /// Run row by row where that lowers the peak of memory: tensors are kept only as far as they are still needed, and
    /// the results stay the same, byte for byte
    #[arg(long, default_value = "auto")]
    rows: RowsChoice,
    /// What matters more where the two are at odds: the least arena, or the fewest instructions by the measured costs of
    /// the target (see `mote estimate`)
    #[arg(long, default_value = "memory")]
    opt: Opt,
    /// The fastest plan that was found whose arena and state (and training) have together at most so many bytes: 64K, 1M, 48000
    #[arg(long, value_name = "BYTES", value_parser = bytes, conflicts_with = "opt")]
    ram_limit: Option<usize>,

    /// Make this share of the weights of each 1x1 convolution zero, the smallest ones; without training behind it a
    /// network bears little of this
    #[arg(long, value_name = "SHARE", value_parser = share, help_heading = "Sparse networks")]
    prune: Option<f64>,
    /// Neighbouring output channels whose weights become zero together; 1x4: input channels (for wasm with --weight-bits 7)
    #[arg(long, default_value = "1", value_parser = PossibleValuesParser::new(["1", "2", "4", "1x2", "1x4"]), requires = "prune", help_heading = "Sparse networks")]
    block: String,
    /// How layers with many zeros run
    #[arg(long, value_enum, default_value = "auto", help_heading = "Sparse networks")]
    sparse: SparseLayers,
    /// Prune the first convolution and the classifier, too
    #[arg(long, requires = "prune", help_heading = "Sparse networks")]
    prune_ends: bool,

    /// The end of the network goes on learning on the device: `head` (the last layer), `bias:K` (the last layer, and the
    /// biases of K layers before it), `layers:NODE,NODE` or `all`. The plan becomes the frozen network in front; layers
    /// and numbers of the trained end are written beside it. --ram-limit counts what training takes, too
    #[arg(long, value_name = "WHAT", conflicts_with_all = ["stream", "states"], help_heading = "Training on the device")]
    train: Option<train::What>,
    /// Train without momentum, which is a number for each trained parameter
    #[arg(long, requires = "train", help_heading = "Training on the device")]
    no_momentum: bool,

    /// Calibration samples: a folder of pictures (one level of folders inside it is searched, too), a .npy file with a
    /// leading sample axis, or `random` to only try things out
    #[arg(long, value_name = "DIR|X.npy|random", help_heading = "Quantization (--dtype int8)")]
    calibrate: Option<String>,
    /// At most this many calibration samples, evenly from all
    #[arg(long, default_value_t = 128, value_name = "N", help_heading = "Quantization (--dtype int8)")]
    calibration_limit: usize,
    /// How the ranges of activations are found
    #[arg(long, default_value = "mse", help_heading = "Quantization (--dtype int8)")]
    ranges: Ranges,
    /// How weights become codes
    #[arg(long, default_value = "by-error", help_heading = "Quantization (--dtype int8)")]
    rounding: WeightRounding,
    /// Bits of the weights of layers that mix channels. With 7 `--target wasm` is faster on processors without an
    /// instruction for products of bytes and their sums (VNNI); weights that are int8 in the file are halved
    #[arg(long, default_value = "8", value_parser = PossibleValuesParser::new(["7", "8"]), value_name = "BITS", help_heading = "Quantization (--dtype int8)")]
    weight_bits: String,
    /// Move scales between neighbouring layers first, so that their channels have similar ranges
    #[arg(long, help_heading = "Quantization (--dtype int8)")]
    equalize: bool,

    /// Turn a network over clips (of sound, video, sensor data) into one that takes a frame at a time and gives what the
    /// clip-wise network gives for the window behind it; refused with the reason where that cannot be exact
    #[arg(long, help_heading = "Streams")]
    stream: bool,
    /// Axis of time in the input, counted from 0 after conversion to channels last; without it the one behind the batch
    #[arg(long, requires = "stream", value_name = "AXIS", help_heading = "Streams")]
    time_axis: Option<usize>,
    /// Frames from one result to the next; without it the fewest that the network allows
    #[arg(long, requires = "stream", value_name = "FRAMES", help_heading = "Streams")]
    hop: Option<usize>,
    /// The network runs over a whole stream: its padding over time stands at the start of the stream
    #[arg(long, requires = "stream", help_heading = "Streams")]
    whole_stream: bool,
    /// Milliseconds from frame to frame; stored in the plan, so that delays can be told in seconds
    #[arg(long, value_name = "MS", value_parser = milliseconds, help_heading = "Streams")]
    frame_ms: Option<Duration>,
    /// An input and the output that is this input of the next step, for ONNX networks that take one step at a time
    /// already; repeat for more (pairs named s0 and ns0, s1 and ns1, .. are found without it)
    #[arg(long = "state", value_name = "IN:OUT", value_parser = state, help_heading = "Streams")]
    states: Vec<(String, String)>,

    #[command(flatten)]
    family: Family,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dtype {
    Int8,
    F32,
    F16,
}

#[derive(Clone, Copy, ValueEnum)]
enum Ranges {
    /// From the smallest to the largest value
    MinMax,
    /// The middle 99.99 % of the values
    Percentile,
    /// Where the squared error of rounding and clipping together is least
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
enum SparseLayers {
    /// Sparse where that costs less and the arena stays within that of the dense network, or within --ram-limit; with
    /// --opt speed as `fast`
    Auto,
    /// Sparse where that costs less
    Fast,
    /// Dense
    Off,
}

#[derive(Clone, Copy, ValueEnum)]
enum Opt {
    /// The least arena
    Memory,
    /// The fewest instructions, whatever memory that takes
    Speed,
}

#[derive(Clone, Copy, ValueEnum)]
enum RowsChoice {
    /// Where that lowers the peak of memory
    Auto,
    /// Whole tensors only
    Off,
}

impl Conversion {
    /// Files that are read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        [&self.preprocess, &self.labels, &self.model].into_iter().flatten()
    }

    /// What the plan is made from, as people know it: a file, or the name of a network.
    pub fn source(&self) -> &Path {
        self.model.as_deref().unwrap_or_else(|| Path::new(self.family.arch.as_deref().unwrap_or_default()))
    }

    /// Fails where the arguments do not fit each other.
    fn check(&self) -> Outcome {
        if self.calibrate.is_some() && !matches!(self.dtype, Some(Dtype::Int8)) {
            let help = "add --dtype int8, or leave --calibrate out";
            return Err(Failure::usage("calibration is for --dtype int8, which is not asked for", help));
        }
        if self.weight_bits == "7" && matches!(self.dtype, Some(Dtype::F32 | Dtype::F16)) {
            let help = "ask for --dtype int8, or leave --weight-bits out";
            return Err(Failure::usage(
                "--weight-bits is for int8, and a network of floats is asked for",
                help,
            ));
        }
        Ok(())
    }

    /// Converts the model for a target (the code of its profile); `silent` where a program reads.
    pub fn convert(&self, target: u16, strip: bool, silent: bool) -> Result<Converted, Failure> {
        self.check()?;
        let model = self.source();
        let file = self.model.as_deref().map(|path| Ok::<_, Failure>((path, read(path)?))).transpose()?;
        let mut options = Options { strip, ..options(self, target) };
        if let Some(path) = &self.labels {
            options.labels = lines(path)?;
        }
        let load = |path| Ok::<_, Failure>((path, Recipe::load(path)?));
        let recipe = self.preprocess.as_deref().map(load).transpose()?;
        let file = file.as_ref().map(|(path, bytes)| (*path, &bytes[..]));
        let graph = match (self.family.graph(file)?, file) {
            (Some(graph), _) => graph,
            (None, Some((_, bytes))) => import(bytes, &options).map_err(Failure::convert(model))?.graph,
            (None, None) => {
                return Err(Failure::usage("there is no model", "give a model file, or --arch NAME"));
            }
        };
        if let Some((path, recipe)) = &recipe {
            let record = recipe.record(path, 0, channels_first(input_shape(&graph)))?;
            picture::check(&record, input_shape(&graph).iter().product(), path)?;
            options.preprocess.push(record);
        }
        if let Some(source) = &self.calibrate {
            let samples = samples(source, &graph, &options, self.calibration_limit)?;
            options.calibration = Some(Calibration {
                samples,
                method: match self.ranges {
                    Ranges::MinMax => Method::MinMax,
                    Ranges::Percentile => Method::Percentile(99.99),
                    Ranges::Mse => Method::Mse,
                },
                weights: options.weights,
                equalize: self.equalize,
                round_by_error: matches!(self.rounding, WeightRounding::ByError),
                ..Calibration::default()
            });
        }
        let bar = spinner(silent, "converting");
        let converted = compile(graph, &options);
        bar.finish_and_clear();
        converted.map_err(Failure::convert(model))
    }
}

fn options(arguments: &Conversion, target: u16) -> Options {
    let (axis, hop, whole) = (arguments.time_axis, arguments.hop, arguments.whole_stream);
    Options {
        weights: if arguments.weight_bits == "7" { WeightBits::Seven } else { WeightBits::Eight },
        precision: match arguments.dtype {
            None => Precision::AsIs,
            Some(Dtype::Int8) => Precision::Int8,
            Some(Dtype::F32) => Precision::F32,
            Some(Dtype::F16) => Precision::F16,
        },
        prune: arguments.prune.map(|share| Prune {
            share,
            block: block(&arguments.block),
            ends: arguments.prune_ends,
        }),
        sparse: match arguments.sparse {
            SparseLayers::Auto => Sparsity::Auto,
            SparseLayers::Fast => Sparsity::Fast,
            SparseLayers::Off => Sparsity::Off,
        },
        train: arguments.train.clone().map(|what| train::Options { what, momentum: !arguments.no_momentum }),
        stream: arguments.stream.then_some(Stream { axis, hop, whole }),
        states: arguments.states.clone(),
        sizes: arguments.sizes.clone(),
        frame: arguments.frame_ms.unwrap_or_default(),
        target,
        keep_layout: arguments.keep_layout,
        rows: match arguments.rows {
            RowsChoice::Auto => Rows::Auto,
            RowsChoice::Off => Rows::Off,
        },
        goal: match (arguments.ram_limit, arguments.opt) {
            (Some(limit), _) => Goal::Within(limit),
            (None, Opt::Speed) => Goal::Speed,
            (None, Opt::Memory) => Goal::Memory,
        },
        ..Options::default()
    }
}

fn state(text: &str) -> Result<(String, String), String> {
    match text.split_once(':') {
        Some((input, output)) if !input.is_empty() && !output.is_empty() => Ok((input.into(), output.into())),
        _ => Err("give the names of an input and an output, as in `--state h:h_next`".into()),
    }
}

fn size(text: &str) -> Result<(String, usize), String> {
    let parsed =
        text.rsplit_once('=').and_then(|(symbol, size)| Some((symbol.to_string(), size.parse().ok()?)));
    parsed
        .filter(|(_, size)| *size > 0)
        .ok_or_else(|| "give a symbol and a size, as in `--size width=224`".into())
}

fn bytes(text: &str) -> Result<usize, String> {
    let upper = text.trim().to_ascii_uppercase();
    let plain = upper.strip_suffix('B').unwrap_or(&upper);
    let unit = [("K", 1 << 10), ("M", 1 << 20)].into_iter().find(|(name, _)| plain.ends_with(name));
    let (number, unit) = unit.map_or((plain, 1), |(name, unit)| (plain.trim_end_matches(name), unit));
    let bytes = number.parse::<usize>().ok().and_then(|number| number.checked_mul(unit));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(|| "give a number of bytes, as in `--ram-limit 64K`".into())
}

/// Output channels, or `1x` and input channels; the parser of arguments lets nothing else through.
fn block(text: &str) -> Block {
    let (outputs, inputs) = text.split_once('x').unwrap_or((text, "1"));
    let [outputs, inputs] = [outputs, inputs].map(|side| side.parse().unwrap_or(1));
    Block::of(outputs, inputs)
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    share.ok_or_else(|| "give a share from 0 up to, without, 1, as in `--prune 0.8`".into())
}

fn milliseconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|ms| Duration::try_from_secs_f64(ms / 1e3).ok());
    let stored = |duration: &Duration| (1..=u128::from(u32::MAX)).contains(&duration.as_micros());
    seconds.filter(stored).ok_or_else(|| "give a number of milliseconds, as in `--frame-ms 20`".into())
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
        return Err(Failure::usage(
            format!("the network has {} inputs; calibration by file or folder serves one", lengths.len()),
            "only `--calibrate random` serves several inputs",
        ));
    };
    if path.is_dir() {
        let recipe = options.preprocess.first().ok_or_else(|| {
            Failure::usage(
                "calibration by pictures needs to know how pictures become inputs",
                "give --preprocess FILE.json with size, mean and std",
            )
        })?;
        let pictures = picture::list(path)?;
        if pictures.is_empty() {
            return Err(Failure::input(path, "it holds no pictures", picture::FOLDER_HELP));
        }
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
    let shape: Vec<u64> = input_shape(graph).iter().map(|&n| n as u64).collect();
    let count = tensor.samples(path, &shape, "sample")?;
    let values = tensor.numbers.into_reals();
    let step = (count / limit.max(1)).max(1);
    Ok(values.chunks_exact(length).step_by(step).take(limit).map(|sample| vec![sample.to_vec()]).collect())
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

/// A plan, and the model file that it was read or made from.
pub struct Loaded {
    pub plan: Vec<u8>,
    /// Made of a model just now, for the target that was asked for.
    pub converted: bool,
}

/// The plan in a .mote file as it is, or that of a model, converted for the profile `target`.
pub fn load(conversion: &Conversion, target: u16, silent: bool) -> Result<Loaded, Failure> {
    if let Some(path) = &conversion.model {
        let bytes = read(path)?;
        if bytes.starts_with(&LABEL) {
            return Ok(Loaded { plan: bytes, converted: false });
        }
    }
    let plan = conversion.convert(target, false, silent)?.plan;
    Ok(Loaded { plan, converted: true })
}
