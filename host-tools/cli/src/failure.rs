//! Errors as people and programs read them: what was wrong, where, and what to do.
//!
//! People get them from miette on standard error. With `--json` programs get [`Failure::to_json`] on standard output,
//! where the report would have been:
//!
//! ```json
//! {"error": {"kind": "unsupported_operators", "message": "..", "where": "net.onnx", "help": "..",
//!   "refused": [{"node": "..", "operator": "..", "reason": "..", "alternative": "..", "rule": 1}]}}
//! ```
//!
//! Where memory is short (`too_large`), `needed_bytes` and `given_bytes` stand beside the message.

use miette::Diagnostic;
use mote_compiler::convert::ConvertError;
use mote_compiler::import::{ImportError, Refusal};
use mote_compiler::quantize::QuantizeError;
use mote_compiler::stream::time::{Rule, Violation, broken};
use mote_models::{BuildError, Fault, WeightsError};
use mote_sim::SimError;
use serde_json::{Value, json};
use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};

/// Everything that a command can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A file could not be read.
    #[error("{}: {error}", path.display())]
    File { path: PathBuf, error: std::io::Error },

    /// A file could not be written.
    #[error("{} cannot be written: {reason}", path.display())]
    Output { path: PathBuf, reason: String },

    /// A picture, tensor, recording, recipe or folder is not what it should be.
    #[error("{}: {reason}", path.display())]
    Input { path: PathBuf, reason: String, help: String },

    /// A model file did not become a plan.
    #[error("{}", conversion(path, error))]
    Convert { path: PathBuf, error: Box<ConvertError> },

    /// A network of the model families was not built, or weights do not fit it.
    #[error("{}: {error}", path.display())]
    Build { path: PathBuf, error: BuildError },

    /// A plan file cannot be used.
    #[error("{}: {error}", path.display())]
    Plan { path: PathBuf, error: mote_runtime::Error },

    /// Firmware was not built, not run, or not counted.
    #[error(transparent)]
    Board(#[from] mote_emulator::Error),

    /// A network of devices was not simulated, or came to a halt.
    #[error(transparent)]
    Simulation(#[from] SimError),

    /// Something that cannot be, but was.
    #[error("{message}")]
    Defect { message: String },

    /// The arguments do not fit each other, or not the plan.
    #[error("{message}")]
    Usage { message: String, help: String },
}

pub type Outcome = Result<(), Failure>;

impl Failure {
    pub fn usage(message: impl Into<String>, help: impl Into<String>) -> Self {
        Failure::Usage { message: message.into(), help: help.into() }
    }

    /// [`Failure::Input`] of a file or folder.
    pub fn input(path: &Path, reason: impl Into<String>, help: impl Into<String>) -> Self {
        Failure::Input { path: path.into(), reason: reason.into(), help: help.into() }
    }

    /// Maker of [`Failure::Plan`] for a plan file.
    pub fn plan<E: Into<mote_runtime::Error>>(path: &Path) -> impl Fn(E) -> Self + Copy {
        move |error| Failure::Plan { path: path.into(), error: error.into() }
    }

    /// Maker of [`Failure::Convert`] for a model file.
    pub fn convert<E: Into<ConvertError>>(path: &Path) -> impl Fn(E) -> Self + Copy {
        move |error| Failure::Convert { path: path.into(), error: Box::new(error.into()) }
    }

    /// Maker of [`Failure::Build`] for a file of weights, or for a network by name.
    pub fn build<E: Into<BuildError>>(path: &Path) -> impl Fn(E) -> Self + Copy {
        move |error| Failure::Build { path: path.into(), error: error.into() }
    }

    /// Class of the failure. An interface: the words stay.
    pub fn kind(&self) -> &'static str {
        match self {
            Failure::File { .. } => "file",
            Failure::Output { .. } => "output",
            Failure::Input { .. } => "input",
            Failure::Plan { .. } => "plan",
            Failure::Build { error: BuildError::Weights(_), .. } => "weights",
            Failure::Build { .. } => "usage",
            Failure::Usage { .. } => "usage",
            Failure::Board(mote_emulator::Error::TooLarge { .. }) => "too_large",
            Failure::Board(_) => "board",
            Failure::Simulation(error) => match error {
                SimError::Read { .. } => "file",
                SimError::Write { .. } => "output",
                SimError::NoTask => "usage",
                SimError::Stalled { .. } | SimError::Ended { .. } => "stalled",
                _ => "input",
            },
            Failure::Defect { .. } => "internal",
            Failure::Convert { error, .. } => match &**error {
                ConvertError::Import(ImportError::Unsupported(_)) | ConvertError::NoKernel(_) => {
                    "unsupported_operators"
                }
                ConvertError::Import(ImportError::Inconsistent(_)) | ConvertError::Refused(_) => "internal",
                ConvertError::Import(_) => "model",
                ConvertError::Stream(_) => "not_streamable",
                ConvertError::Train(_) => "not_trainable",
                ConvertError::NoCalibration | ConvertError::Quantize(_) => "calibration",
                ConvertError::Memory { .. } => "too_large",
                ConvertError::States | ConvertError::AlreadyQuantized | ConvertError::NoCodes => "usage",
                _ => "conversion",
            },
        }
    }

    /// What the process ends with: 2 where the arguments are wrong, as for those that do not parse; else 1.
    pub fn exit_code(&self) -> u8 {
        if self.kind() == "usage" { 2 } else { 1 }
    }

    /// The file or folder that it is about.
    fn place(&self) -> Option<&Path> {
        match self {
            Failure::File { path, .. }
            | Failure::Output { path, .. }
            | Failure::Input { path, .. }
            | Failure::Convert { path, .. }
            | Failure::Build { path, .. }
            | Failure::Plan { path, .. } => Some(path),
            Failure::Simulation(
                SimError::Read { path, .. } | SimError::Write { path, .. } | SimError::Data { path, .. },
            ) => Some(path),
            Failure::Simulation(_) | Failure::Usage { .. } | Failure::Board(_) | Failure::Defect { .. } => {
                None
            }
        }
    }

    /// What to do about it.
    fn advice(&self) -> String {
        match self {
            Failure::File { error, .. } => match error.kind() {
                std::io::ErrorKind::NotFound => "check the path: there is no such file or folder".into(),
                std::io::ErrorKind::IsADirectory => "this is a folder: give a file".into(),
                std::io::ErrorKind::NotADirectory => "this is a file: give a folder".into(),
                _ => "check that it is a file which you may read".into(),
            },
            Failure::Output { .. } => "choose another place, or create the folder".into(),
            Failure::Input { help, .. } | Failure::Usage { help, .. } => help.clone(),
            Failure::Plan { error, .. } => match error {
                mote_runtime::Error::Plan(_) => "plans are the .mote files that `mote convert` writes; convert the model again".into(),
                mote_runtime::Error::Drive => {
                    "plans made with `mote convert --stream` are run by `mote stream`, all others by `mote run`".into()
                }
                _ => "the plan may come from a newer version of mote: convert the model again with this one".into(),
            },
            Failure::Board(error) => board_advice(error),
            Failure::Simulation(error) => simulation_advice(error).into(),
            Failure::Defect { .. } => DEFECT.into(),
            Failure::Convert { error, .. } => convert_advice(error),
            Failure::Build { error, .. } => build_advice(error).into(),
        }
    }

    /// The object that programs get.
    pub fn to_json(&self) -> Value {
        let mut error = json!({"kind": self.kind(), "message": self.to_string(), "where": self.place(),
            "help": self.advice()});
        let refused = match self {
            Failure::Convert { error, .. } => refused(error),
            _ => Vec::new(),
        };
        if !refused.is_empty() {
            error["refused"] = refused.iter().map(Refused::to_json).collect();
        }
        if let Failure::Build { error: BuildError::Weights(WeightsError::Faults(faults)), .. } = self {
            let tensor = |fault: &Fault| json!({"tensor": fault.name(), "reason": fault.to_string()});
            error["refused"] = faults.iter().map(tensor).collect();
        }
        let memory = match self {
            Failure::Convert { error, .. } => match **error {
                ConvertError::Memory { needed, limit } => Some((needed as u64, limit as u64)),
                _ => None,
            },
            Failure::Board(mote_emulator::Error::TooLarge { needed, given, .. }) => Some((*needed, *given)),
            _ => None,
        };
        if let Some((needed, given)) = memory {
            error["needed_bytes"] = json!(needed);
            error["given_bytes"] = json!(given);
        }
        json!({"error": error})
    }
}

impl Diagnostic for Failure {
    fn code<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(self.kind()))
    }

    fn help<'a>(&'a self) -> Option<Box<dyn Display + 'a>> {
        Some(Box::new(self.advice()))
    }
}

/// The object for arguments that do not parse.
pub fn usage_json(error: &clap::Error) -> Value {
    let text = error.render().to_string();
    let message = text.split("\n\n").next().unwrap_or(&text).trim_start_matches("error: ").trim();
    json!({"error": {"kind": "usage", "message": message, "where": null,
        "help": "`mote COMMAND --help` tells the arguments of a command"}})
}

const DEFECT: &str = "this is a defect of mote, not of the model: please report it with the model";

/// A node without a place in the plan.
struct Refused {
    node: String,
    operator: String,
    reason: String,
    alternative: Option<String>,
    /// Of the conditions for streaming.
    rule: Option<u8>,
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        let Refusal { node, operator, reason, instead } = refusal.clone();
        let (rule, reason) = match broken(refusal) {
            Some((rule, reason)) => (Some(rule), reason.to_owned()),
            None => (None, reason),
        };
        Refused { node, operator, reason, alternative: instead, rule }
    }
}

impl From<&Violation> for Refused {
    fn from(violation: &Violation) -> Self {
        let Violation { node, operator, rule, reason } = violation.clone();
        let number = Some(rule.number()).filter(|_| rule != Rule::Unsupported);
        Refused { node, operator, reason, alternative: Some(rule.instead().into()), rule: number }
    }
}

impl Refused {
    fn to_json(&self) -> Value {
        let mut value = json!({"node": self.node, "operator": self.operator, "reason": self.reason,
            "alternative": self.alternative});
        if let Some(rule) = self.rule {
            value["rule"] = json!(rule);
        }
        value
    }
}

/// Every node that a conversion failed for.
fn refused(error: &ConvertError) -> Vec<Refused> {
    match error {
        ConvertError::Import(ImportError::Unsupported(nodes)) | ConvertError::NoKernel(nodes) => {
            nodes.iter().map(Refused::from).collect()
        }
        ConvertError::Stream(violations) => violations.iter().map(Refused::from).collect(),
        _ => Vec::new(),
    }
}

/// What was wrong with a model, every refused node in a line of its own.
fn conversion(path: &Path, error: &ConvertError) -> String {
    let extension = path.extension().unwrap_or_default();
    let named = ["onnx", "tflite"].iter().any(|own| extension.eq_ignore_ascii_case(own));
    let path = path.display();
    let refused = refused(error);
    let mut text = match error {
        ConvertError::Stream(_) => {
            format!("{path} cannot run frame by frame; {} node(s) are in the way:", refused.len())
        }
        _ if !refused.is_empty() => {
            format!("{path}: {} node(s) have no translation or kernel:", refused.len())
        }
        ConvertError::Import(ImportError::Malformed { reason, .. }) if !named => {
            return format!("{path} is neither an ONNX nor a TFLite model: {reason}");
        }
        ConvertError::Import(ImportError::Malformed { .. }) => return format!("{path} is {error}"),
        ConvertError::NoCalibration => {
            return format!("{path}: int8 needs calibration samples, and none are given");
        }
        ConvertError::Quantize(QuantizeError::NoSamples) => {
            return format!("{path}: there are no calibration samples");
        }
        _ => return format!("{path}: {error}"),
    };
    for node in refused {
        let rule = node.rule.map_or_else(String::new, |rule| format!("breaks rule {rule}: "));
        let operator = if node.operator.is_empty() { String::new() } else { format!(" ({})", node.operator) };
        let _ = write!(text, "\n  {}{operator}: {rule}{}", node.node, node.reason);
    }
    text
}

/// What to do about firmware that was not built, not run, or not counted.
fn board_advice(error: &mote_emulator::Error) -> String {
    use mote_emulator::{Error, qemu::QEMU};
    match error {
        Error::NoProgram(program) if program == QEMU => format!(
            "install QEMU for Arm (Debian, Ubuntu: apt-get install {QEMU}; Fedora: dnf install qemu-system-arm-core; \
             macOS: brew install qemu); `mote estimate` needs none"
        ),
        Error::NoProgram(program) if program == "cc" => {
            "install a C compiler that runs as `cc`: the counting plugin is built from source".into()
        }
        Error::NoProgram(program) => {
            format!("install Rust (https://rustup.rs), so that `{program}` runs: firmware is built from source")
        }
        Error::NoTarget { triple } => format!("install it: rustup target add {triple}"),
        Error::NoSources(_) => {
            "set MOTE_SOURCES to a checkout of the project; `mote estimate` needs none".into()
        }
        Error::TooLarge { .. } => {
            "take a board with more memory, or make the network smaller: --dtype int8 takes a quarter of the weights of \
             a float network, --rows auto (which is what happens without --rows) the least memory"
                .into()
        }
        Error::Unfinished { .. } => "the network takes too long to emulate; `mote estimate` runs nothing".into(),
        Error::Failed { .. } => "the output above tells why; `cargo xtask setup` installs what builds need".into(),
        Error::Start { .. } | Error::File { .. } => {
            "check that the program and the sources' target folder are yours to use".into()
        }
        _ => DEFECT.into(),
    }
}

/// What to do about a simulation that was not made, or came to a halt.
fn simulation_advice(error: &SimError) -> &'static str {
    match error {
        SimError::Read { .. } => "check the path: the option wants a file that you may read",
        SimError::Write { .. } => "choose another place, or create the folder",
        SimError::NoTask => {
            "give the data to train on, which are not part of mote; `mote simulate protocol` needs none"
        }
        SimError::Stalled { .. } | SimError::Ended { .. } => {
            "too many members are gone or cut off for the parameters; another --seed tells whether that was chance"
        }
        _ => "the file is not what the option wants: `mote simulate help COMMAND` tells",
    }
}

/// What to do about a model that did not become a plan.
fn convert_advice(error: &ConvertError) -> String {
    match error {
        ConvertError::Import(ImportError::Malformed { .. }) => {
            "models are ONNX (.onnx) or TFLite (.tflite) files; if this is one, it is damaged or cut short: export or \
             download it again"
        }
        ConvertError::Import(ImportError::OpenAxis { .. }) => {
            "give the size with --size SYMBOL=N, or by input and axis with --size 'INPUT[AXIS]=N', or export the model with fixed \
             shapes"
        }
        ConvertError::Import(ImportError::Unsupported(_))
        | ConvertError::NoKernel(_) => return alternatives(&refused(error)),
        ConvertError::Stream(_) => {
            return alternatives(&refused(error)) + "\nif another axis of the input is time, name it: --time-axis";
        }
        ConvertError::Import(ImportError::Inconsistent(_)) | ConvertError::Refused(_) => DEFECT,
        ConvertError::NoCalibration | ConvertError::Quantize(QuantizeError::NoSamples) => {
            "give --calibrate a folder of pictures or a .npy file with some dozen typical inputs; `--calibrate random` \
             is enough to try things out, but not for a network that shall be used"
        }
        ConvertError::Quantize(_) => "look at the calibration samples and at the model's weights",
        ConvertError::Memory { .. } => {
            "raise --ram-limit, or leave --rows out, which cuts the network where that saves memory; int8 takes a quarter \
             of the memory of float, and a network over time may run frame by frame (--stream)"
        }
        ConvertError::Train(_) => {
            "train less of it (--train head cuts the network before its last layer)"
        }
        ConvertError::NoCodes => "add --dtype int8 with --calibrate, or leave --weight-bits out",
        ConvertError::AlreadyQuantized => "leave --dtype out: the file's own format is kept",
        _ => "leave out the option that asks for it, or change the model",
    }
    .into()
}

/// What to do about a network that was not built.
fn build_advice(error: &BuildError) -> &'static str {
    match error {
        BuildError::Weights(WeightsError::Malformed(_)) => {
            "weights are .safetensors files, such as timm's or those that safetensors.torch.save_file writes"
        }
        BuildError::Weights(_) => {
            "check --arch (`mote archs` lists all), --classes, and --picture: tables of attention belong to one size of \
             pictures"
        }
        BuildError::Size { .. } => "choose another --picture",
        _ => "look at --arch, --picture and --classes",
    }
}

/// The nearest that would work, each once, with the number of nodes that it would help.
fn alternatives(refused: &[Refused]) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for alternative in refused.iter().filter_map(|node| {
        let alternative = node.alternative.as_ref()?;
        Some(node.rule.map_or_else(|| alternative.clone(), |rule| format!("rule {rule}: {alternative}")))
    }) {
        match counted.iter_mut().find(|(text, _)| *text == alternative) {
            Some((_, count)) => *count += 1,
            None => counted.push((alternative, 1)),
        }
    }
    if counted.is_empty() {
        return "replace these nodes before exporting the model".into();
    }
    let line = |(text, count): &(String, usize)| match count {
        1 => text.clone(),
        _ => format!("{text} ({count} nodes)"),
    };
    counted.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(node: &str, instead: Option<&str>) -> Refusal {
        let (operator, reason) = ("Einsum".into(), "`bhwc,hkc->bhwk` is no product".into());
        Refusal { node: node.into(), operator, reason, instead: instead.map(str::to_owned) }
    }

    #[test]
    fn refused_nodes_are_listed_for_people_and_programs() {
        let nodes =
            vec![refusal("a", Some("use MatMul")), refusal("b", Some("use MatMul")), refusal("c", None)];
        let failure = Failure::convert(Path::new("net.onnx"))(ImportError::Unsupported(nodes));
        let text = failure.to_string();
        assert!(text.starts_with("net.onnx: 3 node(s)") && text.contains("\n  b (Einsum): `bhwc"), "{text}");
        assert_eq!(failure.advice(), "use MatMul (2 nodes)");
        let error = &failure.to_json()["error"];
        assert_eq!(error["kind"], "unsupported_operators");
        assert_eq!(error["where"], "net.onnx");
        assert_eq!(error["refused"][0]["alternative"], "use MatMul");
        assert!(error["refused"][2]["alternative"].is_null());
    }

    #[test]
    fn broken_rules_have_their_number() {
        let violation = Violation {
            node: "conv".into(),
            operator: "conv".into(),
            rule: Rule::Padding,
            reason: "it pads".into(),
        };
        let failure = Failure::convert(Path::new("clip.onnx"))(ConvertError::Stream(vec![violation]));
        assert!(failure.to_string().ends_with("conv (conv): breaks rule 1: it pads"), "{failure}");
        assert_eq!(failure.to_json()["error"]["refused"][0]["rule"], 1);
        assert_eq!((failure.kind(), failure.exit_code()), ("not_streamable", 1));
    }
}
