//! Figures of a plan: what `inspect --json` and `convert --json` print, and their human form.
//!
//! [`memory`] tells who lives where and when, [`map`] and [`svg`] draw it; [`code`] knows how much code kernels are.

pub mod code;
pub mod map;
pub mod memory;
pub mod svg;
pub mod training;

use code::Code;
use memory::{RegionFigures, RingFigures, Span};
use mote_compiler::executor::AlignedBytes;
use mote_compiler::targets;
use mote_runtime::Plan;
use mote_runtime::plan::{DType, RegionKind, TensorRecord, WeighedRecord, section};
use serde_json::{Value, json};
use std::fmt::Write;

/// One step, as people and programs see it.
pub struct StepFigures {
    pub name: String,
    pub kernel: &'static str,
    pub macs: u64,
    pub weight_bytes: usize,
    pub scratch_bytes: usize,
    pub output: String,
    pub in_place: bool,
    /// Due at ticks `phase + i * every` of its region; each time it makes `burst` slices.
    pub every: usize,
    pub phase: usize,
    pub burst: usize,
    /// Kernels that the compiler weighed for it, with what they cost; the chosen one first.
    pub candidates: Vec<(&'static str, u32)>,
    /// Of a layer with many zeros, if the plan tells.
    pub weighed: Option<WeighedRecord>,
}

impl StepFigures {
    /// Of a weighed layer.
    fn is_sparse(&self) -> bool {
        self.kernel.starts_with("spmm")
    }
}

/// Everything that can be told about a plan.
pub struct Figures {
    pub target: String,
    pub plan_bytes: usize,
    pub arena_bytes: usize,
    pub state_bytes: usize,
    pub weight_bytes: usize,
    /// Names, labels and what else `--strip` leaves out.
    pub name_bytes: usize,
    /// Arena with whole tensors only, if the plan tells.
    pub arena_whole_bytes: Option<usize>,
    /// Code of the kernels, if it was measured for the target.
    pub code: Option<Code>,
    pub macs: u64,
    pub steps: Vec<StepFigures>,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub regions: Vec<RegionFigures>,
    pub spans: Vec<Span>,
    /// Of a plan that runs frame by frame.
    pub stream: Option<StreamFigures>,
}

/// When a plan over a stream has results, and what they cost.
pub struct StreamFigures {
    /// Index of the frame with which the first result comes: the receptive field less one.
    pub first_ready: usize,
    /// Frames from result to result.
    pub every: usize,
    /// Multiplications of a frame, on average over frames: a step that is not due costs nothing.
    pub macs_per_step: f64,
    /// Multiplications for the first result, from the first frame on: what a window costs. `None` for a network without
    /// a window, which has a result for every frame and carries all it knows in its state.
    pub macs_per_window: Option<u64>,
    /// From frame to frame, if the plan tells.
    pub frame_seconds: Option<f64>,
}

impl StreamFigures {
    fn of(plan: &Plan<'_>, steps: &[StepFigures]) -> Option<Self> {
        plan.region(0).filter(|region| region.kind == RegionKind::Endless as u8)?;
        let port = plan.port(plan.port_of(1, 0)?)?;
        let result = plan.step(port.step.into())?;
        let first_ready = result.phase as usize;
        let slices = |step: &StepFigures| {
            first_ready.checked_sub(step.phase).map_or(0, |ticks| ticks / step.every.max(1) + 1) as u64
        };
        let micros = plan.conversion().map(|conversion| conversion.frame_micros).filter(|&micros| micros > 0);
        Some(Self {
            first_ready,
            every: result.every.into(),
            macs_per_step: steps.iter().map(|step| step.macs as f64 / step.every.max(1) as f64).sum(),
            macs_per_window: (first_ready > 0)
                .then(|| steps.iter().map(|step| step.macs * slices(step)).sum()),
            frame_seconds: micros.map(|micros| f64::from(micros) / 1e6),
        })
    }

    /// Seconds from the first frame to the first result.
    fn delay_seconds(&self) -> Option<f64> {
        self.frame_seconds.map(|seconds| seconds * self.first_ready as f64)
    }

    fn to_json(&self) -> Value {
        json!({
            "first_ready": self.first_ready, "every": self.every, "receptive_field": self.first_ready + 1,
            "delay_frames": self.first_ready, "frame_seconds": self.frame_seconds,
            "delay_seconds": self.delay_seconds(), "macs_per_step": self.macs_per_step,
            "macs_per_window": self.macs_per_window,
        })
    }
}

impl Figures {
    /// Reads them off a plan.
    pub fn of(bytes: &[u8]) -> Result<Self, mote_runtime::Error> {
        let aligned = AlignedBytes::from_slice(bytes);
        let plan = Plan::parse(aligned.as_ref())?;
        let steps: Vec<StepFigures> = (0..plan.steps()).map_while(|i| step(&plan, i)).collect();
        let code = plan.header().target;
        let target = targets::PROFILES.iter().find(|profile| profile.code == code);
        let target = target.map_or_else(|| format!("profile {code}"), |profile| profile.name.to_string());
        let ports = |direction| {
            let port = |i| plan.port_of(direction, i).and_then(|i| plan.port(i));
            let ports = (0..).map_while(port);
            ports
                .filter_map(|port| {
                    let tensor = plan.tensor(plan.operand(port.operand.into())?.tensor.into())?;
                    Some(format!("{} {}", plan.string(port.name, port.name_bytes), describe(&plan, &tensor)))
                })
                .collect()
        };
        let optional = [
            section::WEIGHED,
            section::STEP_INFO,
            section::TENSOR_INFO,
            section::STRINGS,
            section::LABELS,
            section::CONVERSION,
            section::CANDIDATES,
        ];
        Ok(Self {
            plan_bytes: bytes.len(),
            arena_bytes: plan.arena_bytes(),
            state_bytes: plan.state_bytes(),
            weight_bytes: plan.weights().len(),
            name_bytes: optional.map(|kind| plan.optional_section(kind).map_or(0, <[u8]>::len)).iter().sum(),
            arena_whole_bytes: plan.conversion().map(|conversion| conversion.arena_whole as usize),
            code: Code::of(&target, steps.iter().map(|step| step.kernel)),
            target,
            macs: steps.iter().map(|s| s.macs).sum(),
            inputs: ports(0),
            outputs: ports(1),
            regions: memory::regions(&plan),
            spans: memory::spans(&plan),
            stream: StreamFigures::of(&plan, &steps),
            steps,
        })
    }

    /// What outlives a call.
    pub fn state(&self) -> impl Iterator<Item = &RingFigures> {
        self.regions.iter().flat_map(RegionFigures::kept).filter(|ring| ring.in_state)
    }

    /// Of the plan itself: what is neither weights nor names.
    pub fn table_bytes(&self) -> usize {
        self.plan_bytes - self.weight_bytes - self.name_bytes
    }

    /// In what the costs of weighed layers are told.
    fn unit(&self) -> &'static str {
        mote_compiler::cost::sparse::unit(&self.target).unwrap_or("units")
    }

    /// The machine-readable form. Field names are an interface: they stay.
    pub fn to_json(&self) -> Value {
        let unit = self.unit();
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|s| {
                json!({
                    "name": s.name, "op": s.kernel.split('_').next(), "kernel": s.kernel, "macs": s.macs,
                    "weight_bytes": s.weight_bytes, "scratch_bytes": s.scratch_bytes, "output": s.output,
                    "in_place": s.in_place, "every": s.every, "phase": s.phase, "burst": s.burst,
                    "candidates": s.candidates.iter().map(|(kernel, cost)| json!({"kernel": kernel, "cost": cost}))
                        .collect::<Vec<_>>(),
                    "weighed": s.weighed.as_ref().map(|weighed| weighed_json(weighed, s.is_sparse(), unit)),
                })
            })
            .collect();
        json!({
            "target": self.target, "plan_bytes": self.plan_bytes, "arena_bytes": self.arena_bytes,
            "arena_whole_bytes": self.arena_whole_bytes, "state_bytes": self.state_bytes,
            "weight_bytes": self.weight_bytes, "table_bytes": self.table_bytes(), "name_bytes": self.name_bytes,
            "code_bytes": self.code.as_ref().map(|code| code.bytes),
            "rest_code_bytes": self.code.as_ref().map(|code| code.rest_bytes),
            "macs": self.macs, "inputs": self.inputs, "outputs": self.outputs, "steps": steps,
            "regions": self.regions.iter().map(region_json).collect::<Vec<_>>(),
            "stream": self.stream.as_ref().map(StreamFigures::to_json),
        })
    }

    /// The figures in a few lines.
    pub fn headline(&self) -> String {
        let mut text = String::new();
        let number = |bytes: usize| grouped(bytes as u64);
        for (what, ports) in [("input", &self.inputs), ("output", &self.outputs)] {
            for port in ports {
                let _ = writeln!(text, "  {what:<8}{port}");
            }
        }
        let (steps, macs) = (self.steps.len(), grouped(self.macs));
        let _ = writeln!(text, "  steps   {steps}, {macs} multiplications, packed for {}", self.target);
        if let Some(stream) = &self.stream {
            text += &stream_lines(stream);
        }
        let _ = writeln!(
            text,
            "  flash   {} bytes of weights and constants, {} of tables, {} of names",
            number(self.weight_bytes),
            number(self.table_bytes()),
            number(self.name_bytes)
        );
        let _ = match &self.code {
            Some(code) => writeln!(
                text,
                "  code    {} bytes of {} kernels; engine, start-up and a small app are about {} more ({})",
                number(code.bytes),
                code.kernels,
                number(code.rest_bytes),
                code.measured
            ),
            None => {
                writeln!(text, "  code    not known for {}; measured for {}", self.target, code::measured())
            }
        };
        let _ = match self.arena_whole_bytes.filter(|&whole| whole != self.arena_bytes) {
            Some(whole) => writeln!(
                text,
                "  memory  {} bytes of arena ({} without regions over rows), {} of state",
                number(self.arena_bytes),
                number(whole),
                number(self.state_bytes)
            ),
            None => writeln!(
                text,
                "  memory  {} bytes of arena, {} of state",
                number(self.arena_bytes),
                number(self.state_bytes)
            ),
        };
        text
    }
}

fn stream_lines(stream: &StreamFigures) -> String {
    let mut text = String::from("  stream  ");
    let per_step = grouped(stream.macs_per_step.round() as u64);
    let _ = match stream.macs_per_window {
        Some(window) => writeln!(
            text,
            "{per_step} multiplications a frame; {} for a window of {} frames ({:.1} times as many)",
            grouped(window),
            stream.first_ready + 1,
            window as f64 / stream.macs_per_step.max(1.0)
        ),
        None => writeln!(text, "{per_step} multiplications a frame; no window: all it knows is in its state"),
    };
    let seconds = |seconds: Option<f64>| seconds.map_or_else(String::new, |s| format!(" ({s:.3} s)"));
    let every = if stream.every == 1 { "frame".to_owned() } else { format!("{} frames", stream.every) };
    let every = format!("every {every}{}", seconds(stream.frame_seconds.map(|s| s * stream.every as f64)));
    let _ = match stream.first_ready {
        0 => writeln!(text, "          a result with the first frame, then {every}"),
        first => {
            let after = seconds(stream.delay_seconds());
            writeln!(text, "          first result {first} frame(s) after the first one{after}, then {every}")
        }
    };
    text
}

fn weighed_json(weighed: &WeighedRecord, is_sparse: bool, unit: &str) -> Value {
    json!({
        "zeros": weighed.zeros, "dense": weighed.dense, "sparse": weighed.sparse, "unit": unit,
        "block": [weighed.block_outputs, weighed.block_inputs],
        "choice": if is_sparse { "sparse" } else { "dense" },
    })
}

fn region_json(region: &RegionFigures) -> Value {
    let ring = |ring: &RingFigures| {
        json!({
            "name": ring.name, "slots": ring.slots.kept, "slices": ring.slots.of,
            "slice_bytes": ring.slots.slice_bytes, "offset": ring.offset, "bytes": ring.bytes,
            "in_state": ring.in_state, "kept": ring.kept,
        })
    };
    json!({
        "kind": kind(region.kind), "first_step": region.steps.start, "steps": region.steps.len(),
        "ticks": region.ticks, "delivered": region.delivered,
        "rings": region.rings.iter().map(ring).collect::<Vec<_>>(),
    })
}

/// Name of a region's kind.
pub fn kind(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Plain => "plain",
        RegionKind::Rows => "rows",
        RegionKind::Endless => "endless",
    }
}

fn step(plan: &Plan<'_>, index: usize) -> Option<StepFigures> {
    let record = plan.step(index)?;
    let name = |id| targets::library(plan).find(id).map_or("?", |entry| entry.name);
    let kernel = plan.kernel(record.kernel.into()).map_or("?", name);
    let candidates =
        (0..).map_while(|k| plan.candidate(k)).filter(|candidate| usize::from(candidate.step) == index);
    let output = plan.step_output(&record)?;
    let weight_bytes = (0..usize::from(record.blobs)).map(|k| plan.step_blob(&record, k).len()).sum();
    Some(StepFigures {
        name: plan.step_name(index).to_string(),
        kernel,
        macs: plan.step_macs(index),
        weight_bytes,
        scratch_bytes: record.scratch_bytes as usize,
        output: describe(plan, &plan.tensor(output.tensor.into())?),
        in_place: record.flags & mote_runtime::plan::step_flags::IN_PLACE_MASK != 0,
        every: record.every.into(),
        phase: record.phase as usize,
        candidates: candidates.map(|candidate| (name(candidate.kernel), candidate.cost)).collect(),
        weighed: (0..).map_while(|k| plan.weighed(k)).find(|weighed| usize::from(weighed.step) == index),
        burst: record.burst.into(),
    })
}

/// Type, shape and quantization of a tensor.
fn describe(plan: &Plan<'_>, tensor: &TensorRecord) -> String {
    let shape: Vec<String> = tensor.shape.iter().take(tensor.rank.into()).map(u32::to_string).collect();
    let dtype = DType::from_code(tensor.dtype).map_or("?", |d| match d {
        DType::I8 => "int8",
        DType::I16 => "int16",
        DType::I32 => "int32",
        DType::F32 => "f32",
        DType::F16 => "f16",
        DType::U8 => "uint8",
    });
    let quant = plan.quant(tensor.quant.into());
    let quant = quant.map_or_else(String::new, |q| format!(" ({} * (q - {}))", q.scale, q.zero_point));
    format!("{dtype}[{}]{quant}", shape.join(", "))
}

/// A name that fits into a line: TFLite files name a fused tensor after everything that went into it.
pub fn short(name: &str, most: usize) -> String {
    let first = name.split(';').next().unwrap_or(name);
    let count = first.chars().count();
    if count <= most {
        return first.into();
    }
    if most < 8 {
        return String::new(); // says nothing any more
    }
    let end: String = first.chars().skip(count - (most - 2)).collect();
    format!("..{end}")
}

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Prints a report. A reader that has enough of it (`| head`) is no failure.
pub fn print(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// Prints the report for programs.
pub fn print_json(value: &Value) {
    print(&format!("{value:#}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_names_shortened() {
        assert_eq!(
            (grouped(0), grouped(999), grouped(1_234_567)),
            ("0".into(), "999".into(), "1,234,567".into())
        );
        assert_eq!(short("model/relu;model/bias;model/conv", 20), "model/relu");
        assert_eq!(short("/blocks/blocks.0/Relu", 12), "..cks.0/Relu");
        assert_eq!(short("/blocks/blocks.0/Relu", 5), "");
    }
}
