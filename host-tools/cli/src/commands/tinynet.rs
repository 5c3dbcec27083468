//! `mote tinynet`: the TinyNet for a device's budget.

use super::conversion::spinner;
use crate::failure::{Failure, Outcome};
use crate::files::{check_writable, write};
use crate::report::{Figures, grouped, print, print_json};
use clap::Args;
use clap::builder::PossibleValuesParser;
use mote_compiler::convert::{Options, Precision, compile};
use mote_compiler::quantize::Calibration;
use mote_compiler::targets;
use mote_models::common::weights::seeded_file;
use mote_models::tinynet::formula::{Proposal, propose};
use mote_models::{Weights, build};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Propose the TinyNet for a budget of work, flash and memory
///
/// Resolution and depth follow from the budget of multiplications as in TinyNet's paper (arXiv 2010.14819), the width
/// from an exact count. With --flash or --ram the budget is lowered until the network's int8 plan fits: flash is the plan
/// with the code of kernels and engine, where that was measured for the target; memory is what was really planned.
///
///   mote tinynet --macs 75M
///   mote tinynet --macs 30M --flash 2M --ram 256K --classes 10 --target cortex-m7 -o small
///
/// -o writes small.safetensors, the untrained network, and small.py, which trains it with timm and exports it.
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// At most so many multiplications, as 75M or 75000000
    #[arg(long, value_name = "N", default_value = "337M", value_parser = amount::<1000>)]
    macs: u64,
    /// Flash that plan and code may take, as 512K (of 1024 bytes)
    #[arg(long, value_name = "BYTES", value_parser = amount::<1024>)]
    flash: Option<u64>,
    /// Memory that arena and state may take, as 256K (of 1024 bytes)
    #[arg(long, value_name = "BYTES", value_parser = amount::<1024>)]
    ram: Option<u64>,
    /// Number of classes
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    classes: u32,
    /// Machine that the plan is made for
    #[arg(long, default_value = "cortex-m7", value_parser = PossibleValuesParser::new(targets::PROFILES.iter().map(|profile| profile.name)))]
    target: String,
    /// Seed of the untrained network
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Write <PREFIX>.safetensors and <PREFIX>.py
    #[arg(short, long, value_name = "PREFIX")]
    output: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Bytes that a plan takes on the device.
#[derive(Clone, Copy)]
struct Needs {
    /// Plan, kernels, engine and start-up.
    flash: u64,
    /// Of that, code; 0 where it was not measured.
    code: u64,
    ram: u64,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let files =
        arguments.output.as_deref().map(|prefix| [".safetensors", ".py"].map(|end| with_end(prefix, end)));
    files.iter().flatten().try_for_each(|path| check_writable(path))?;
    let bar = spinner(arguments.json, "planning");
    let found = search(arguments);
    bar.finish_and_clear();
    let (proposal, needs) = found?;
    if let Some([weights, recipe]) = &files {
        let model = build(&proposal.spec, Weights::Shapes).map_err(Failure::build(weights))?;
        write(weights, &seeded_file(&model.parameters, arguments.seed))?;
        write(recipe, recipe_text(&proposal, weights).as_bytes())?;
    }
    tell(arguments, &proposal, needs, files.as_ref());
    Ok(())
}

/// Steps of the bisection of the budget: to a hundredth of what was asked for.
const STEPS: usize = 7;

/// The largest network found that fits.
fn search(arguments: &Arguments) -> Result<(Proposal, Option<Needs>), Failure> {
    let of = |budget| propose(budget, arguments.classes as usize);
    let too_small = || {
        let help =
            "ask for more: stem, head and classifier do not shrink with the width; fewer --classes help";
        Failure::usage(format!("no TinyNet does with {} multiplications", grouped(arguments.macs)), help)
    };
    let asked = of(arguments.macs).ok_or_else(too_small)?;
    if arguments.flash.is_none() && arguments.ram.is_none() {
        return Ok((asked, None));
    }
    let fits = |needs: &Needs| {
        arguments.flash.is_none_or(|most| needs.flash <= most)
            && arguments.ram.is_none_or(|most| needs.ram <= most)
    };
    let needs = needed(arguments, &asked)?;
    if fits(&needs) {
        return Ok((asked, Some(needs)));
    }
    let (mut best, mut least) = (None, (asked, needs));
    let (mut low, mut high) = (0.0, (arguments.macs as f64).ln());
    for step in 0..STEPS {
        // The first steps look for one that fits at all.
        let middle = if best.is_none() { high - 4f64.ln() } else { (low + high) / 2.0 };
        let Some(proposal) = of(middle.exp() as u64) else { break };
        let needs = needed(arguments, &proposal)?;
        if fits(&needs) {
            (low, best) = (middle, Some((proposal, Some(needs))));
        } else {
            (high, least) = (middle, (proposal, needs));
        }
        if best.is_none() && step + 1 == STEPS {
            break;
        }
    }
    best.ok_or_else(|| {
        let (proposal, Needs { flash, ram, .. }) = least;
        let message = format!(
            "no TinyNet fits: {} at {} pixels still needs {} bytes of flash and {} of memory",
            proposal.spec.arch, proposal.spec.size[0], grouped(flash), grouped(ram)
        );
        let help = "the head of 1280 channels and the classifier do not shrink with the budget: fewer --classes help, \
                    or a network of another family (`mote archs`)";
        Failure::usage(message, help)
    })
}

/// What the network's int8 plan needs. One random picture calibrates it: the numbers in a plan do not change its size.
fn needed(arguments: &Arguments, proposal: &Proposal) -> Result<Needs, Failure> {
    let name = proposal.spec.arch.to_string();
    let place = Path::new(&name);
    let graph = build(&proposal.spec, Weights::Seeded(arguments.seed)).map_err(Failure::build(place))?.graph;
    let calibration = Calibration {
        round_by_error: false,
        correct_bias: false,
        ..Calibration::random(&graph, 1, arguments.seed)
    };
    let options = Options {
        precision: Precision::Int8,
        target: targets::by_name(&arguments.target).map_or(0, |target| target.code),
        calibration: Some(calibration),
        strip: true,
        ..Options::default()
    };
    let converted = compile(graph, &options).map_err(Failure::convert(place))?;
    let figures = Figures::of(&converted.plan).map_err(Failure::plan(place))?;
    let code = figures.code.as_ref().map_or(0, |code| code.bytes + code.rest_bytes) as u64;
    let ram = (figures.arena_bytes + figures.state_bytes) as u64;
    Ok(Needs { flash: figures.plan_bytes as u64 + code, code, ram })
}

fn tell(arguments: &Arguments, proposal: &Proposal, needs: Option<Needs>, files: Option<&[PathBuf; 2]>) {
    let Proposal { spec, net, resolution, macs } = proposal;
    let timm = spec.arch.timm(spec.classes, spec.size);
    if arguments.json {
        let needs = needs.map_or(
            Value::Null,
            |needs| json!({"flash_bytes": needs.flash, "code_bytes": needs.code, "ram_bytes": needs.ram}),
        );
        return print_json(&json!({
            "arch": spec.arch.to_string(), "resolution": resolution, "picture": spec.size, "depth": net.depth,
            "width": net.width, "classes": spec.classes, "macs": macs, "timm": timm, "target": arguments.target,
            "int8": needs, "files": files.map(|files| files.to_vec()),
        }));
    }
    let mut text = format!(
        "{}\n  picture {side} x {side} (resolution {resolution:.3}), depth {:.3}, width {:.3}, {} classes\n  {} \
         multiplications\n  timm    {timm}\n",
        spec.arch,
        net.depth,
        net.width,
        spec.classes,
        grouped(*macs),
        side = spec.size[0],
    );
    if let Some(Needs { flash, code, ram }) = needs {
        let of_code = match code {
            0 => format!("code not measured for {}", arguments.target),
            code => format!("{} of them code", grouped(code)),
        };
        text +=
            &format!("  int8    {} bytes of flash ({of_code}), {} of memory\n", grouped(flash), grouped(ram));
    }
    for path in files.into_iter().flatten() {
        text += &format!("  wrote   {}\n", path.display());
    }
    print(&text);
}

/// The path with something behind its name, whatever dots the name has.
fn with_end(prefix: &Path, end: &str) -> PathBuf {
    let mut path = prefix.as_os_str().to_os_string();
    path.push(end);
    path.into()
}

/// The program that trains the network.
fn recipe_text(proposal: &Proposal, weights: &Path) -> String {
    let spec = &proposal.spec;
    let name = weights.file_name().unwrap_or_default().to_string_lossy();
    include_str!("tinynet_recipe.py")
        .replace("@TIMM@", &spec.arch.timm(spec.classes, spec.size))
        .replace("@ARCH@", &spec.arch.to_string())
        .replace("@WEIGHTS@", &name.replace('\\', "\\\\").replace('"', "\\\""))
        .replace("@SIDE@", &spec.size[0].to_string())
        .replace("@CLASSES@", &spec.classes.to_string())
}

/// A number with a `K`, `M` or `G` of `UNIT`, its square or its cube behind it.
fn amount<const UNIT: u64>(text: &str) -> Result<u64, String> {
    let letters = [('K', UNIT), ('M', UNIT * UNIT), ('G', UNIT * UNIT * UNIT)];
    let upper = text.trim().to_ascii_uppercase();
    let found = letters.iter().find_map(|&(letter, unit)| Some((upper.strip_suffix(letter)?, unit)));
    let (digits, unit) = found.unwrap_or((&upper, 1));
    let number = digits.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    let value = number.map(|number| number * unit as f64).filter(|value| (1.0..=1e15).contains(value));
    value.map(|value| value as u64).ok_or_else(|| "give a number, as 75000000, 512K or 1.5M".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units() {
        assert_eq!(amount::<1000>("75M"), Ok(75_000_000));
        assert_eq!(amount::<1024>("512k"), Ok(524_288));
        assert_eq!(amount::<1024>("1.5M"), Ok(1_572_864));
        assert_eq!(amount::<1000>("42"), Ok(42));
        for wrong in ["", "M", "-3K", "NaN", "inf", "12Q", "1e30G"] {
            assert!(amount::<1000>(wrong).is_err(), "{wrong}");
        }
    }
}
