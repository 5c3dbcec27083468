//! The conditions under which a step-wise network equals a sliding window, and how they are broken.

use crate::import::Refusal;
use crate::lower::Step;

/// A condition; the numbers are those of the documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// 1: windows over time see no padding but at the true start of the stream.
    Padding,
    /// 2: branches are cropped by constant offsets.
    Crop,
    /// 3: the hop is a multiple of the temporal stride.
    Hop,
    /// 4: what sees all frames at once sees a window of them: mean, maximum, flatten.
    Window,
    /// 5: attention over time has its positions recycled.
    Positions,
    /// 6: nothing is normalised, scaled or reversed by looking at the whole clip.
    WholeClip,
    /// 7: recurrence carries its state from the start of the stream.
    Recurrence,
    /// 8: quantization is static.
    Quantization,
    /// None of the conditions; the operator has no step-wise form here.
    Unsupported,
}

impl Rule {
    /// Number in the documentation; 0 for [`Rule::Unsupported`].
    pub fn number(self) -> u8 {
        match self {
            Rule::Padding => 1,
            Rule::Crop => 2,
            Rule::Hop => 3,
            Rule::Window => 4,
            Rule::Positions => 5,
            Rule::WholeClip => 6,
            Rule::Recurrence => 7,
            Rule::Quantization => 8,
            Rule::Unsupported => 0,
        }
    }

    /// What would be exact instead.
    pub fn instead(self) -> &'static str {
        match self {
            Rule::Padding => {
                "train it with valid convolutions over time, or stream it as a whole (--whole-stream), where padding \
                 stands only at the start of the stream"
            }
            Rule::Crop => "crop both branches by constant numbers of frames",
            Rule::Hop => "choose a hop that is a multiple of the temporal stride",
            Rule::Window => "pool, average or flatten all frames at the end of the network",
            Rule::Positions => "use recycling positional encodings: position = frame mod (2 * window - 1)",
            Rule::WholeClip => {
                "scale or normalise each frame by its own values, or by statistics that are frozen"
            }
            Rule::Recurrence => "run it as one stream from its start (--whole-stream), forwards only",
            Rule::Quantization => "quantize it statically, with one scale per tensor",
            Rule::Unsupported => "convert it without --stream and run it once for each window",
        }
    }
}

/// Adds to what the importer refuses the rule that it would break in a stream, where there is one.
pub fn explain(refusals: Vec<Refusal>) -> Vec<Refusal> {
    let explained = |refusal: Refusal| match of_operator(&refusal) {
        Some(rule) => Refusal {
            reason: format!("{BREAKS}{}: {}", rule.number(), refusal.reason),
            instead: Some(rule.instead().into()),
            ..refusal
        },
        None => refusal,
    };
    refusals.into_iter().map(explained).collect()
}

const BREAKS: &str = "breaks rule ";

/// The number of the rule that [`explain`] added to a refusal, and the reason without it.
pub fn broken(refusal: &Refusal) -> Option<(u8, &str)> {
    let (number, reason) = refusal.reason.strip_prefix(BREAKS)?.split_once(": ")?;
    Some((number.parse().ok()?, reason))
}

fn of_operator(refusal: &Refusal) -> Option<Rule> {
    match refusal.operator.as_str() {
        "CumSum" => Some(Rule::Window),
        "DynamicQuantizeLinear" | "MatMulInteger" | "ConvInteger" => Some(Rule::Quantization),
        "ReverseSequence" => Some(Rule::WholeClip),
        "Slice" if refusal.reason.contains("negative step") => Some(Rule::WholeClip),
        "GRU" | "LSTM" | "RNN" if refusal.reason.contains("direction") => Some(Rule::WholeClip),
        "GRU" | "LSTM" | "RNN" => Some(Rule::Recurrence),
        _ => None,
    }
}

/// A node that keeps the network from running frame by frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Name in the original file.
    pub node: String,
    pub operator: String,
    pub rule: Rule,
    pub reason: String,
}

impl Violation {
    pub(crate) fn of_step(step: &Step, rule: Rule, reason: String) -> Self {
        Self { node: step.name.clone(), operator: step.op.into(), rule, reason }
    }

    pub(crate) fn of_graph(rule: Rule, reason: &str) -> Self {
        Self { node: "the network".into(), operator: String::new(), rule, reason: reason.into() }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.node)?;
        if !self.operator.is_empty() {
            write!(f, " ({})", self.operator)?;
        }
        match self.rule.number() {
            0 => write!(f, ": {}", self.reason)?,
            n => write!(f, ": breaks rule {n}: {}", self.reason)?,
        }
        write!(f, "; instead: {}", self.rule.instead())
    }
}
