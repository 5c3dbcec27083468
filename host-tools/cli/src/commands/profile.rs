//! `mote profile`: a network on an emulated board, step by step.

use super::conversion::{Conversion, load};
use crate::failure::{Failure, Outcome};
use crate::report::{Figures, grouped, print, print_json, short};
use clap::Args;
use clap::builder::PossibleValuesParser;
use mote_compiler::executor::AlignedBytes;
use mote_compiler::targets;
use mote_emulator::board::{BOARDS, Board};
use mote_emulator::counts::Counts;
use mote_emulator::profile::{self, Subject};
use mote_emulator::qemu;
use mote_runtime::Plan;
use mote_runtime::plan::target;
use serde_json::{Value, json};
use std::fmt::Write;

/// Count what a network costs on an emulated board, layer by layer
///
/// Builds firmware from the project's sources (cargo, and the Rust target of the board's core), runs the network in it
/// under QEMU and counts executed instructions exactly. Typical calls:
///
///   mote profile net.tflite --board mps2-an386
///   mote profile net.onnx --board mps3-an547 --dtype int8 --calibrate pictures/ --preprocess net.json
///   mote profile net.mote --board mps2-an386 --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Board: mps2-an386 has a Cortex-M4, mps2-an500 a Cortex-M7, mps2-an505 a Cortex-M33, mps3-an547 a Cortex-M55
    #[arg(long, default_value = "mps2-an386", value_parser = PossibleValuesParser::new(boards()))]
    board: String,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    conversion: Conversion,
}

/// Those with memory for a plan that comes at run time.
fn boards() -> impl Iterator<Item = &'static str> {
    BOARDS.iter().filter(|board| board.is_mainline()).map(|board| board.name)
}

/// What was counted.
struct Counted {
    instructions: u64,
    cycles: Cycles,
}

/// Cycles, as far as they can be told from instructions.
enum Cycles {
    Unknown,
    /// From documented timings.
    About(u64),
    /// Of a core with undocumented timings that may take two instructions at once.
    Between(u64, u64),
}

struct Step {
    index: usize,
    calls: usize,
    counted: Counted,
}

struct Report<'a> {
    board: &'static Board,
    figures: &'a Figures,
    total: Counted,
    start_up: u64,
    stack_bytes: u32,
    steps: Vec<Step>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    // Before the work, not behind it.
    qemu::check()?;
    let board = Board::by_name(&arguments.board)?;
    let code = targets::by_name(board.plan_target).map_or(0, |profile| profile.code);
    let loaded = load(&arguments.conversion, code, arguments.json)?;
    let figures = Figures::of(&loaded.plan).map_err(Failure::plan(arguments.conversion.source()))?;
    let aligned = AlignedBytes::from_slice(&loaded.plan);
    let plan = Plan::parse(aligned.as_ref()).map_err(Failure::plan(arguments.conversion.source()))?;
    check(&plan, board, code)?;

    let slice = plan.port_view(0, 0).map_or(0, |view| view.slice_bytes());
    let (first_ready, every) =
        figures.stream.as_ref().map_or((0, 1), |stream| (stream.first_ready, stream.every));
    let memory = plan.arena_bytes() + plan.state_bytes() + slice;
    let subject = Subject { plan: &loaded.plan, memory, first_ready, every };
    let bar = super::conversion::spinner(arguments.json, "building firmware, running it");
    let profile = profile::image(board).and_then(|image| profile::run(board, &image, &subject));
    bar.finish_and_clear();
    let profile = profile?;

    let steps = profile.steps.iter().map(|step| {
        Ok(Step { index: step.step, calls: step.calls, counted: Counted::of(board, &step.counts)? })
    });
    let report = Report {
        board,
        figures: &figures,
        total: Counted::of(board, &profile.inference)?,
        start_up: profile.start_up.total()?,
        stack_bytes: profile.stack_bytes,
        steps: steps.collect::<mote_emulator::Result<_>>()?,
    };
    if arguments.json {
        print_json(&report.to_json());
    } else {
        print(&format!(
            "{} on the emulated {}\n{report}",
            arguments.conversion.source().display(),
            board.name
        ));
    }
    Ok(())
}

/// Fails if the plan calls kernels that the board's core has no instructions for.
fn check(plan: &Plan<'_>, board: &Board, code: u16) -> Outcome {
    let packed = plan.header().target;
    let everywhere = [target::PORTABLE, target::CORTEX_M0];
    let dsp = [target::CORTEX_M4, target::CORTEX_M7, target::CORTEX_M33];
    if packed == code || everywhere.contains(&packed) || dsp.contains(&packed) {
        return Ok(());
    }
    Err(Failure::usage(
        format!(
            "the plan is packed for {}, the {} has a {}",
            targets::profile(packed).name,
            board.name,
            board.cpu
        ),
        format!("give the model itself, or convert it with --target {}", board.plan_target),
    ))
}

impl Counted {
    fn of(board: &Board, counts: &Counts) -> mote_emulator::Result<Self> {
        let instructions = counts.total()?;
        let cycles = match board.core {
            "m4" => Cycles::About(counts.m4_cycles()?),
            "m7" => Cycles::Between(instructions.div_ceil(2), counts.m4_cycles()?),
            _ => Cycles::Unknown,
        };
        Ok(Self { instructions, cycles })
    }

    fn to_json(&self) -> Value {
        let mut value = json!({"instructions": self.instructions});
        match self.cycles {
            Cycles::Unknown => {}
            Cycles::About(cycles) => value["cycles_estimate"] = json!(cycles),
            Cycles::Between(low, high) => value["cycles_estimate_range"] = json!([low, high]),
        }
        value
    }
}

impl Report<'_> {
    fn per_mac(instructions: u64, macs: u64) -> Option<f64> {
        (macs > 0).then(|| instructions as f64 / macs as f64)
    }

    /// Instructions of all steps; what the engine needs between them comes on top.
    fn in_steps(&self) -> u64 {
        self.steps.iter().map(|step| step.counted.instructions).sum()
    }

    /// Multiplications of the steps that ran.
    fn macs(&self) -> u64 {
        let stream = self.figures.stream.is_some();
        let of = |step: &Step| self.figures.steps.get(step.index).map_or(0, |figures| figures.macs);
        if stream { self.steps.iter().map(of).sum() } else { self.figures.macs }
    }

    fn share(&self, instructions: u64) -> f64 {
        instructions as f64 / self.in_steps().max(1) as f64
    }

    /// Field names are an interface: they stay.
    fn to_json(&self) -> Value {
        let steps = self.steps.iter().filter_map(|step| {
            let figures = self.figures.steps.get(step.index)?;
            let mut value = step.counted.to_json();
            value["step"] = json!(step.index);
            value["name"] = json!(figures.name);
            value["kernel"] = json!(figures.kernel);
            value["macs"] = json!(figures.macs);
            value["calls"] = json!(step.calls);
            value["share"] = json!(self.share(step.counted.instructions));
            value["instructions_per_mac"] = json!(Self::per_mac(step.counted.instructions, figures.macs));
            Some(value)
        });
        let mut value = self.total.to_json();
        value["board"] = json!(self.board.name);
        value["core"] = json!(self.board.cpu);
        value["target"] = json!(self.figures.target);
        value["macs"] = json!(self.macs());
        value["instructions_per_mac"] = json!(Self::per_mac(self.total.instructions, self.macs()));
        value["startup_instructions"] = json!(self.start_up);
        value["arena_bytes"] = json!(self.figures.arena_bytes);
        value["state_bytes"] = json!(self.figures.state_bytes);
        value["stack_bytes"] = json!(self.stack_bytes);
        value["plan_bytes"] = json!(self.figures.plan_bytes);
        value["per_frame"] = json!(self.figures.stream.is_some());
        value["steps"] = steps.collect();
        value
    }
}

impl std::fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let unit = if self.figures.stream.is_some() { "a frame" } else { "an inference" };
        let per_mac = |instructions, macs| {
            Self::per_mac(instructions, macs).map_or_else(|| "-".into(), |ratio| format!("{ratio:.2}"))
        };
        let total = self.total.instructions;
        writeln!(
            f,
            "  work      {} instructions {unit}, {} a multiplication",
            grouped(total),
            per_mac(total, self.macs())
        )?;
        match self.total.cycles {
            Cycles::Unknown => {}
            Cycles::About(cycles) => writeln!(
                f,
                "  cycles    about {}: an estimate from the manual's timings, for memory that never waits",
                grouped(cycles)
            )?,
            Cycles::Between(low, high) => writeln!(
                f,
                "  cycles    an estimate, as Arm publishes no timings of this core: from {} (always two instructions at\n            \
                 once) to {} (never, at the Cortex-M4's timings), for memory that never waits",
                grouped(low),
                grouped(high)
            )?,
        }
        writeln!(
            f,
            "  start-up  {} instructions, for a plan that comes at run time",
            grouped(self.start_up)
        )?;
        writeln!(
            f,
            "  memory    {} bytes of arena, {} of state, {} of stack; the plan has {}",
            grouped(self.figures.arena_bytes as u64),
            grouped(self.figures.state_bytes as u64),
            grouped(self.stack_bytes.into()),
            grouped(self.figures.plan_bytes as u64)
        )?;
        let cycles = !matches!(self.total.cycles, Cycles::Unknown);
        let heading = if cycles { "cycles, estimated" } else { "" };
        writeln!(f, "\n  step instructions  share per MAC  calls  {:<27} {heading:>17}  node", "kernel",)?;
        for step in &self.steps {
            let Some(figures) = self.figures.steps.get(step.index) else { continue };
            let instructions = step.counted.instructions;
            let mut cycles = String::new();
            match step.counted.cycles {
                Cycles::Unknown => {}
                Cycles::About(cycle) => cycles += &grouped(cycle),
                Cycles::Between(low, high) => write!(cycles, "{}..{}", grouped(low), grouped(high))?,
            }
            writeln!(
                f,
                "  {:>4} {:>12} {:>5.1}% {:>7} {:>6}  {:<27} {cycles:>17}  {}",
                step.index,
                grouped(instructions),
                100.0 * self.share(instructions),
                per_mac(instructions, figures.macs),
                step.calls,
                figures.kernel,
                short(&figures.name, 60)
            )?;
        }
        Ok(())
    }
}
