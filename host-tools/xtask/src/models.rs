//! Models by short name, and their conversion by the command-line tool.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::{
    board::Board,
    npy,
    workspace::{capture, cargo, command, data, root, run, target},
};

/// The networks of MLPerf Tiny: short name and file.
pub const MLPERF: &[(&str, &str)] = &[
    ("ad", "ad_int8.tflite"),
    ("kws", "kws_int8.tflite"),
    ("sww", "sww_int8.tflite"),
    ("vww", "vww_int8.tflite"),
    ("resnet8", "ic_resnet8_int8.tflite"),
];

/// The networks for CIFAR-10 that come with the project: short name and file.
const BUNDLED: &[(&str, &str)] = &[
    ("cifar10", "models/cifar10/cifar10_small.onnx"),
    ("efficientformer", "models/efficientformer/cifar10/efficientformer_cifar10.onnx"),
    ("tinynet", "models/tinynet/cifar10/tinynet_cifar10.onnx"),
    ("mobilenet", "models/mobilenet/cifar10/mobilenet_cifar10.onnx"),
    ("sparse90", "models/mobilenet/cifar10/mobilenet_sparse90_cifar10.onnx"),
    ("sparse90_block4", "models/mobilenet/cifar10/mobilenet_sparse90_block4_cifar10.onnx"),
];

/// How pictures become their inputs, and what they tell apart.
const PICTURE_ARGUMENTS: &[&str] =
    &["--preprocess=models/cifar10/preprocess.json", "--labels=models/cifar10/labels.txt"];

/// How they become int8, unless another type is asked for.
const INT8_ARGUMENTS: &[&str] = &["--dtype=int8", "--calibrate=models/cifar10/samples/calibration"];

/// What the bundled networks are converted with, besides these arguments.
pub fn bundled_arguments(further: &[String]) -> impl Iterator<Item = &'static str> {
    let typed = further.iter().any(|argument| argument.starts_with("--dtype"));
    let int8 = if typed { &[] } else { INT8_ARGUMENTS };
    PICTURE_ARGUMENTS.iter().chain(int8).copied()
}

/// Those of them that belong to the families: `cargo xtask test` compares them on the boards with the host.
pub fn families() -> impl Iterator<Item = &'static str> {
    BUNDLED.iter().map(|(short, _)| *short).filter(|short| *short != "cifar10")
}

/// Where a model is, or why it is not.
pub enum Found {
    Here(Model),
    Absent(String),
}

pub struct Model {
    /// Short name, or the file's.
    pub name: String,
    pub path: PathBuf,
}

/// What `mote inspect --json` tells of a plan.
#[derive(Deserialize)]
pub struct Facts {
    pub arena_bytes: u64,
    pub state_bytes: u64,
    pub weight_bytes: u64,
    /// Of the plan's kernels, if it was measured for the target.
    pub code_bytes: Option<u64>,
    pub macs: u64,
    /// Name, type, shape and scale, as in `image int8[1, 32, 32, 3] (0.016 * (q - -5))`.
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub steps: Vec<Step>,
    /// Only of a plan over a stream.
    pub stream: Option<Stream>,
}

#[derive(Deserialize)]
pub struct Stream {
    pub first_ready: usize,
    pub every: usize,
}

impl Facts {
    /// Type and shape of the first input.
    pub fn input(&self) -> Result<(&str, Vec<usize>)> {
        let told = self.inputs.first().context("a plan without inputs")?;
        let parts = || {
            let (before, rest) = told.split_once('[')?;
            Some((before.rsplit(' ').next()?, rest.split_once(']')?.0))
        };
        let (dtype, shape) = parts().with_context(|| format!("no type and shape in {told}"))?;
        Ok((dtype, shape.split(", ").map(str::parse).collect::<Result<_, _>>()?))
    }

    /// Scale and zero point of the first output.
    pub fn output_quantization(&self) -> Result<(f32, i32)> {
        let numbers = || {
            let (scale, rest) = self.outputs.first()?.split_once("] (")?.1.split_once(" * (q - ")?;
            Some((scale.parse().ok()?, rest.strip_suffix("))")?.parse().ok()?))
        };
        numbers().with_context(|| format!("no quantized output among {:?}", self.outputs))
    }

    /// Inferences to run, of which the last one is measured: the second; of a stream the frame behind the first result,
    /// when everything that is due runs.
    pub fn inferences(&self) -> usize {
        self.stream.as_ref().map_or(0, |stream| stream.first_ready) + 2
    }
}

#[derive(Deserialize)]
pub struct Step {
    pub name: String,
    pub op: String,
    pub kernel: String,
    pub macs: u64,
}

/// A model by short name or by path.
pub fn find(name: &str) -> Result<Found> {
    if let Some((short, file)) = MLPERF.iter().find(|(short, _)| *short == name) {
        let path = data().map(|data| data.join("mlperf-tiny").join(file)).filter(|path| path.is_file());
        return Ok(match path {
            Some(path) => Found::Here(Model { name: (*short).into(), path }),
            None => Found::Absent(format!("{name}: {file} is not in the data folder (MOTE_DATA)")),
        });
    }
    let bundled = BUNDLED.iter().find(|(short, _)| *short == name);
    let path = bundled.map_or_else(|| PathBuf::from(name), |(_, file)| root().join(file));
    if !path.is_file() {
        let known: Vec<_> = MLPERF.iter().chain(BUNDLED).map(|(short, _)| *short).collect();
        bail!("no model {name}: give a file, or one of {}", known.join(", "));
    }
    let stem = path.file_stem().context("a model without a name")?.to_string_lossy();
    let name = if bundled.is_some() { name.into() } else { stem.into_owned() };
    Ok(Found::Here(Model { name, path }))
}

impl Model {
    /// Converts the model for a board; a file that is a plan already is taken as it is.
    pub fn convert(&self, board: &Board, extra: &[String]) -> Result<PathBuf> {
        self.convert_for(board.plan_target, board.core, extra)
    }

    /// Converts the model for a target of the compiler, to a file in `target/plans/<folder>`.
    pub fn convert_for(&self, plan_target: &str, folder: &str, extra: &[String]) -> Result<PathBuf> {
        if self.path.extension().is_some_and(|extension| extension == "mote") {
            return Ok(self.path.clone());
        }
        let folder = target()?.join("plans").join(folder);
        fs::create_dir_all(&folder)?;
        let plan = folder.join(&self.name).with_extension("mote");
        let bundled = BUNDLED.iter().any(|(short, _)| *short == self.name);
        let bundled = bundled.then(|| bundled_arguments(extra)).into_iter().flatten();
        // `--target portable` among the further arguments measures the kernels that define the operators.
        let target = ["--target", plan_target];
        let target = if extra.iter().any(|argument| argument == target[0]) { &[][..] } else { &target };
        run(mote()?
            .arg("convert")
            .arg(&self.path)
            .arg("-o")
            .arg(&plan)
            .args(target)
            .args(bundled)
            .args(extra)
            .stdout(std::process::Stdio::null()))
        .with_context(|| format!("converting {}", self.path.display()))?;
        Ok(plan)
    }
}

/// What the host makes of a plan's first input (a .npy file with a leading axis of samples): the numbers of its first output.
/// `folder` gets both files.
pub fn outputs(plan: &Path, input: &[u8], folder: &Path) -> Result<Vec<u8>> {
    fs::create_dir_all(folder)?;
    let [from, to] = ["inputs.npy", "outputs.npy"].map(|name| folder.join(name));
    fs::write(&from, input)?;
    capture(mote()?.arg("run").arg(plan).arg("--input").arg(&from).arg("--output").arg(&to))?;
    Ok(npy::data(&fs::read(&to)?)?.to_vec())
}

/// What the plan needs.
pub fn facts(plan: &Path) -> Result<Facts> {
    let text = capture(mote()?.arg("inspect").arg(plan).arg("--json"))?;
    serde_json::from_str(&text).context("reading the answer of mote inspect --json")
}

/// The command-line tool, built with the features that the tests use: with those of its package alone, tract would be
/// compiled once more.
pub fn mote() -> Result<Command> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = BUILT.get() {
        return Ok(command(path));
    }
    run(cargo().args(["build", "--quiet", "--release", "--workspace", "--bin", "mote"]))?;
    let path = target()?.join("release").join("mote").with_extension(std::env::consts::EXE_EXTENSION);
    Ok(command(BUILT.get_or_init(|| path)))
}
