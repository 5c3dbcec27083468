//! Figures of a plan: what `inspect --json` and `convert --json` print, and their human form.

use mote_compiler::executor::AlignedBytes;
use mote_compiler::targets;
use mote_runtime::Plan;
use mote_runtime::plan::{DType, OperandRecord, RegionKind, Space, TensorRecord};
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
}

/// A piece of arena over steps.
pub struct Span {
    pub name: String,
    pub offset: usize,
    pub bytes: usize,
    pub first: usize,
    pub last: usize,
}

/// Everything that can be told about a plan.
pub struct Figures {
    pub target: String,
    pub plan_bytes: usize,
    pub arena_bytes: usize,
    pub state_bytes: usize,
    pub weight_bytes: usize,
    pub macs: u64,
    pub steps: Vec<StepFigures>,
    pub inputs: Vec<String>,
    pub outputs: Vec<String>,
    pub spans: Vec<Span>,
    /// Of a plan that runs frame by frame.
    pub stream: Option<StreamFigures>,
}

/// When a plan over a stream has results.
pub struct StreamFigures {
    /// Index of the frame with which the first result comes: the receptive field less one.
    pub first_ready: usize,
    /// Frames from result to result.
    pub every: usize,
}

impl Figures {
    /// Reads them off a plan that the runtime accepts.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let aligned = AlignedBytes::from_slice(bytes);
        let plan = Plan::parse(aligned.as_ref()).ok()?;
        let steps: Vec<StepFigures> = (0..plan.steps()).map_while(|i| step(&plan, i)).collect();
        let code = plan.header().target;
        let target = targets::PROFILES.iter().find(|profile| profile.code == code);
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
        Some(Self {
            target: target.map_or_else(|| format!("profile {code}"), |profile| profile.name.to_string()),
            plan_bytes: bytes.len(),
            arena_bytes: plan.arena_bytes(),
            state_bytes: plan.state_bytes(),
            weight_bytes: plan.weights().len(),
            macs: steps.iter().map(|s| s.macs).sum(),
            steps,
            inputs: ports(0),
            outputs: ports(1),
            spans: spans(&plan),
            stream: stream(&plan),
        })
    }
}

fn stream(plan: &Plan<'_>) -> Option<StreamFigures> {
    plan.region(0).filter(|region| region.kind == RegionKind::Endless as u8)?;
    let port = plan.port(plan.port_of(1, 0)?)?;
    let step = plan.step(port.step.into())?;
    Some(StreamFigures { first_ready: step.phase as usize, every: step.every.into() })
}

fn step(plan: &Plan<'_>, index: usize) -> Option<StepFigures> {
    let record = plan.step(index)?;
    let kernel = plan
        .kernel(record.kernel.into())
        .and_then(|id| targets::library(plan).find(id))
        .map_or("?", |entry| entry.name);
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

/// Who lives where in the arena and when: from first to last step that touches the bytes.
fn spans(plan: &Plan<'_>) -> Vec<Span> {
    let mut spans: Vec<(usize, Span)> = Vec::new();
    let mut touch = |tensor: u16, at: usize| {
        let Some(record) = plan.tensor(tensor.into()) else { return };
        if record.space != Space::Arena as u8 {
            return;
        }
        match spans.iter_mut().find(|(t, _)| *t == usize::from(tensor)) {
            Some((_, span)) => (span.first, span.last) = (span.first.min(at), span.last.max(at)),
            None => {
                let name = plan.tensor_name(tensor.into()).to_string();
                let (offset, bytes) = (record.offset as usize, record.bytes as usize);
                spans.push((tensor.into(), Span { name, offset, bytes, first: at, last: at }));
            }
        }
    };
    let port_tensor = |direction, i: usize| -> Option<OperandRecord> {
        plan.operand(plan.port(plan.port_of(direction, i)?)?.operand.into())
    };
    (0..).map_while(|i| port_tensor(0, i)).for_each(|operand| touch(operand.tensor, 0));
    for index in 0..plan.steps() {
        let Some(record) = plan.step(index) else { break };
        for k in 0..=usize::from(record.inputs) {
            if let Some(operand) = plan.step_operand(&record, k) {
                touch(operand.tensor, index);
            }
        }
    }
    let end = plan.steps();
    (0..).map_while(|i| port_tensor(1, i)).for_each(|operand| touch(operand.tensor, end));
    let mut spans: Vec<Span> = spans.into_iter().map(|(_, span)| span).collect();
    for index in 0..plan.steps() {
        if let Some(record) = plan.step(index).filter(|record| record.scratch_bytes > 0) {
            let (offset, bytes) = (record.scratch as usize, record.scratch_bytes as usize);
            let name = format!("scratch of {}", plan.step_name(index));
            spans.push(Span { name, offset, bytes, first: index, last: index });
        }
    }
    spans
}

/// The machine-readable form. Field names are an interface: they stay.
pub fn summary(bytes: &[u8]) -> Value {
    let Some(figures) = Figures::of(bytes) else { return Value::Null };
    let steps: Vec<Value> = figures
        .steps
        .iter()
        .map(|s| {
            json!({
                "name": s.name, "op": s.kernel.split('_').next(), "kernel": s.kernel, "macs": s.macs,
                "weight_bytes": s.weight_bytes, "scratch_bytes": s.scratch_bytes, "output": s.output,
                "in_place": s.in_place,
            })
        })
        .collect();
    json!({
        "target": figures.target, "plan_bytes": figures.plan_bytes, "arena_bytes": figures.arena_bytes,
        "state_bytes": figures.state_bytes, "weight_bytes": figures.weight_bytes, "macs": figures.macs,
        "inputs": figures.inputs, "outputs": figures.outputs, "steps": steps,
        "stream": figures.stream.map(|s| json!({"first_ready": s.first_ready, "every": s.every})),
    })
}

/// The figures in a few lines.
pub fn headline(bytes: &[u8]) -> String {
    let Some(f) = Figures::of(bytes) else { return String::new() };
    let mut text = String::new();
    for (what, ports) in [("input", &f.inputs), ("output", &f.outputs)] {
        for port in ports {
            let _ = writeln!(text, "  {what:<8}{port}");
        }
    }
    let _ = writeln!(
        text,
        "  steps   {}, {} multiplications, packed for {}",
        f.steps.len(),
        grouped(f.macs),
        f.target
    );
    if let Some(stream) = &f.stream {
        let _ = writeln!(
            text,
            "  stream  multiplications are those of a frame; first result with frame {}, then every {} frame(s)",
            stream.first_ready, stream.every
        );
    }
    let _ = writeln!(
        text,
        "  flash   {} bytes of plan, of them {} of weights and constants",
        grouped(f.plan_bytes as u64),
        grouped(f.weight_bytes as u64)
    );
    let _ = writeln!(
        text,
        "  memory  {} bytes of arena, {} of state",
        grouped(f.arena_bytes as u64),
        grouped(f.state_bytes as u64)
    );
    text
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
