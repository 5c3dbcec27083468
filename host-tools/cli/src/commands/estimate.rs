//! `mote estimate`: what a network will cost on a device, from the measured cost table.

use super::conversion::{Conversion, load};
use crate::failure::{Failure, Outcome};
use crate::report::{Figures, grouped, print, print_json, short};
use clap::Args;
use mote_compiler::cost::{self, Cost, ENGINE, Table, Work};
use mote_compiler::executor::AlignedBytes;
use mote_compiler::targets;
use mote_runtime::Plan;
use mote_runtime::plan::section;
use serde_json::{Value, json};

/// Estimate the latency of a network on a device, without one
///
/// From measured costs of kernels; the error shown is the largest that this had on whole networks, each estimated
/// without its own measurements. Nothing but this tool is needed; `mote profile` counts exactly. Typical calls:
///
///   mote estimate net.tflite --target cortex-m4 --clock 120MHz
///   mote estimate net.mote --json
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Core of the device (also m4, m7, m33, m55); of a plan, what it is packed for
    #[arg(long, value_parser = core)]
    target: Option<String>,
    /// Clock of the device, for milliseconds: 120MHz
    #[arg(long, value_name = "HZ", value_parser = hertz)]
    clock: Option<f64>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    conversion: Conversion,
}

/// Name of a measured target, also by its short name.
fn core(text: &str) -> Result<String, String> {
    let name = if text.starts_with('m') { format!("cortex-{text}") } else { text.to_owned() };
    let measured = cost::table::measured();
    if measured.contains(&&*name) {
        return Ok(name);
    }
    Err(format!("measured are {}", measured.join(", ")))
}

/// Clock from text such as `120MHz`, `16M`, `1.2 GHz`, `32768`.
fn hertz(text: &str) -> Result<f64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let plain = lower.strip_suffix("hz").unwrap_or(&lower).trim_end();
    let units = [('k', 1e3), ('m', 1e6), ('g', 1e9)];
    let unit = units.iter().find_map(|&(name, unit)| Some((plain.strip_suffix(name)?, unit)));
    let (number, unit) = unit.unwrap_or((plain, 1.0));
    let number = number.trim_end().parse::<f64>().ok().map(|number| number * unit);
    number
        .filter(|hertz| hertz.is_finite() && *hertz >= 1.0)
        .ok_or_else(|| "give a frequency, as in `--clock 120MHz`".into())
}

/// One step's share of it.
struct Step {
    work: Work,
    /// `None` where the kernel was not measured.
    cost: Option<Cost>,
}

struct Report<'a> {
    table: &'a Table,
    figures: &'a Figures,
    clock: Option<f64>,
    steps: Vec<Step>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let asked = arguments.target.as_deref().and_then(targets::by_name);
    let loaded = load(&arguments.conversion, asked.map_or(0, |profile| profile.code), arguments.json)?;
    let aligned = AlignedBytes::from_slice(&loaded.plan);
    let plan = Plan::parse(aligned.as_ref()).map_err(Failure::plan(arguments.conversion.source()))?;
    let packed = targets::profile(plan.header().target);
    let measured = || format!("measured targets are {}", cost::table::measured().join(", "));
    let Some(table) = cost::table(asked.unwrap_or(packed).name) else {
        let message = match asked {
            None if loaded.converted => "the device is not told".into(),
            _ => format!("costs on {} were not measured", asked.unwrap_or(packed).name),
        };
        return Err(Failure::usage(message, format!("give --target; {}", measured())));
    };
    if plan.optional_section(section::STEP_INFO).is_none() {
        let help = "convert it without --strip, or give the model itself";
        return Err(Failure::input(
            arguments.conversion.source(),
            "the plan was stripped: it does not tell the work of its steps",
            help,
        ));
    }
    let figures = Figures::of(&loaded.plan).map_err(Failure::plan(arguments.conversion.source()))?;
    let works = Work::of_plan(&plan);
    let steps = works.into_iter().map(|work| Step { cost: table.cost(&work), work }).collect();
    let report = Report { table, figures: &figures, clock: arguments.clock, steps };
    if arguments.json {
        print_json(&report.to_json());
    } else {
        print(&format!(
            "{} on a {}, estimated\n{report}",
            arguments.conversion.source().display(),
            table.target
        ));
    }
    Ok(())
}

impl Report<'_> {
    /// Sum over steps, each weighed: of a stream, once for all that may be due in a frame, once for the average frame.
    fn sum(&self, of: impl Fn(&Cost) -> Option<f64>, weight: impl Fn(&Work) -> f64) -> Option<f64> {
        let costs = self.steps.iter().filter_map(|step| Some((step.cost?, step.work)));
        costs.map(|(cost, work)| Some(of(&cost)? * weight(&work))).sum()
    }

    /// Of the networks of this one's kind: int8, or those that multiply in floating point.
    fn error(&self) -> f64 {
        let float = |step: &&Step| step.work.kernel.contains("f32");
        let macs = |step: &Step| step.work.macs;
        let in_float: f64 = self.steps.iter().filter(float).map(macs).sum();
        let all: f64 = self.steps.iter().map(macs).sum();
        if 2.0 * in_float > all { self.table.float_error } else { self.table.error }
    }

    fn units(&self) -> f64 {
        self.sum(|cost| Some(cost.units), |_| 1.0).unwrap_or_default()
    }

    fn cycles(&self) -> Option<f64> {
        self.sum(|cost| cost.cycles, |_| 1.0)
    }

    /// Of an average frame; `None` where all steps are due in each.
    fn average(&self) -> Option<f64> {
        let some = self.steps.iter().any(|step| step.work.every > 1.0);
        some.then(|| self.sum(|cost| Some(cost.units), |work| 1.0 / work.every)).flatten()
    }

    /// Kernels that were not measured.
    fn unknown(&self) -> Vec<&str> {
        let mut kernels: Vec<&str> =
            self.steps.iter().filter(|step| step.cost.is_none()).map(|step| step.work.kernel).collect();
        kernels.sort_unstable();
        kernels.dedup();
        kernels
    }

    /// Milliseconds at the clock: of cycles, or of as many cycles as instructions where those are all that is known.
    fn milliseconds(&self) -> Option<f64> {
        Some(1e3 * self.cycles().unwrap_or_else(|| self.units()) / self.clock?)
    }

    /// Field names are an interface: they stay.
    fn to_json(&self) -> Value {
        let steps = self.steps.iter().enumerate().map(|(index, step)| {
            let figures = self.figures.steps.get(index);
            json!({
                "name": figures.map(|figures| &figures.name), "kernel": step.work.kernel, "macs": step.work.macs,
                "calls": step.work.calls, "every": step.work.every,
                "instructions": step.cost.map(|cost| cost.units.round()),
                "cycles_estimate": step.cost.and_then(|cost| cost.cycles).map(f64::round),
            })
        });
        json!({
            "target": self.table.target, "unit": self.table.unit, "measured": self.table.measured,
            "instructions": self.units().round(), "cycles_estimate": self.cycles().map(f64::round),
            "instructions_average": self.average().map(f64::round), "error": self.error(),
            "milliseconds": self.milliseconds(), "clock_hz": self.clock, "macs": self.figures.macs,
            "arena_bytes": self.figures.arena_bytes, "state_bytes": self.figures.state_bytes,
            "per_frame": self.figures.stream.is_some(), "not_measured": self.unknown(),
            "networks": self.table.networks.iter().map(|(name, network)| (name.clone(), json!({
                "measured": network.measured, "estimated": network.estimated, "error": network.error(),
            }))).collect::<serde_json::Map<_, _>>(),
            "steps": steps.collect::<Vec<_>>(),
        })
    }
}

impl std::fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |value: f64| grouped(value.round() as u64);
        let error = 100.0 * self.error();
        let unit = if self.figures.stream.is_some() { "a frame" } else { "an inference" };
        let unknown = self.unknown();
        let least = if unknown.is_empty() { "" } else { "at least " };
        writeln!(f, "  work    {least}{} {} {unit}, +-{error:.0} %", number(self.units()), self.table.unit)?;
        if let Some(average) = self.average() {
            writeln!(
                f,
                "          {least}{} in an average frame: not every step is due in each",
                number(average)
            )?;
        }
        if let Some(cycles) = self.cycles() {
            let text = "estimated from the manual's timings, for memory that never waits";
            writeln!(f, "  cycles  {least}{}, +-{error:.0} %: {text}", number(cycles))?;
        }
        if let (Some(ms), Some(clock)) = (self.milliseconds(), self.clock) {
            let of = if self.cycles().is_some() { "" } else { ", at one instruction a cycle" };
            let clock =
                if clock < 1e6 { format!("{} kHz", clock / 1e3) } else { format!("{} MHz", clock / 1e6) };
            writeln!(f, "  time    {least}{ms:.2} ms {unit} at {clock}, +-{error:.0} %{of}")?;
        }
        writeln!(
            f,
            "  memory  {} bytes of arena, {} of state",
            grouped(self.figures.arena_bytes as u64),
            grouped(self.figures.state_bytes as u64)
        )?;
        if !unknown.is_empty() {
            writeln!(f, "  not measured, and counted as nothing: {}", unknown.join(", "))?;
        }
        writeln!(f, "\n  step {:>12}  share  {:<27} node", self.table.unit, "kernel")?;
        for (index, step) in self.steps.iter().enumerate() {
            let cost = step.cost.map_or_else(|| "?".into(), |cost| number(cost.units));
            let share = 100.0 * step.cost.map_or(0.0, |cost| cost.units) / self.units().max(1.0);
            let (at, name) = match self.figures.steps.get(index) {
                Some(figures) => (index.to_string(), short(&figures.name, 60)),
                None => (String::new(), "between the steps".into()),
            };
            let kernel = if step.work.kernel == ENGINE { "" } else { step.work.kernel };
            writeln!(f, "  {at:>4} {cost:>12} {share:>5.1}%  {kernel:<27} {name}")?;
        }
        writeln!(
            f,
            "\n  error: the largest of {} networks, each estimated without its own counts ({})",
            self.table.networks.len(),
            self.table.measured
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_have_units() {
        assert_eq!(hertz("120MHz"), Ok(120e6));
        assert_eq!(hertz("1.2 GHz"), Ok(1.2e9));
        assert_eq!(hertz("16m"), Ok(16e6));
        assert_eq!(hertz("32768"), Ok(32768.0));
        assert!(hertz("fast").is_err() && hertz("-3MHz").is_err() && hertz("").is_err());
    }
}
