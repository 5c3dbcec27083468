//! `mote convert`: a model file to a plan.

use super::conversion::Conversion;
use crate::failure::{Failure, Outcome};
use crate::files::{check_apart, check_writable, write};
use crate::report::{Figures, grouped, print, print_json, short, training};
use clap::Args;
use clap::builder::PossibleValuesParser;
use mote_compiler::convert::Converted;
use mote_compiler::prune::Pruned;
use mote_compiler::quantize::Report;
use mote_compiler::targets;
use serde_json::{Value, json};
use std::path::PathBuf;

/// Convert an ONNX or TFLite network into a plan
///
/// Everything that cannot be converted is listed at once, with the nearest alternative; an existing output file is kept
/// then. Typical calls:
///
///   mote convert net.tflite -o net.mote --target cortex-m4
///   mote convert net.onnx -o net.mote --dtype int8 --calibrate pictures/ --preprocess net.json --labels names.txt
///   mote convert clip.onnx -o net.mote --stream --frame-ms 20
///   mote convert net.onnx -o features.mote --train head --ram-limit 64K
///   mote convert weights.safetensors --arch tinynet_e -o net.mote
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Plan to write (.mote)
    #[arg(short, long, value_name = "OUT.mote")]
    output: PathBuf,
    /// Machine that the plan is packed for; portable plans run everywhere, with plain Rust kernels
    #[arg(long, default_value = "portable", value_parser = PossibleValuesParser::new(targets::PROFILES.iter().map(|profile| profile.name)))]
    target: String,
    /// Leave names, labels and what else only people read out of the plan
    #[arg(long)]
    strip: bool,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    conversion: Conversion,
}

pub fn run(arguments: &Arguments) -> Outcome {
    // Before the work, not behind it.
    check_writable(&arguments.output)?;
    check_apart(&arguments.output, arguments.conversion.files())?;
    let target = targets::by_name(&arguments.target).map_or(0, |target| target.code);
    let converted = arguments.conversion.convert(target, arguments.strip, arguments.json)?;
    let figures = Figures::of(&converted.plan).map_err(Failure::plan(&arguments.output))?;
    write(&arguments.output, &converted.plan)?;
    if let Some(trained) = &converted.trained {
        training::save(
            &arguments.output,
            trained,
            &training::to_json(trained, figures.arena_bytes, figures.state_bytes),
        )?;
    }
    tell(&converted, figures, arguments);
    Ok(())
}

fn tell(converted: &Converted, mut figures: Figures, arguments: &Arguments) {
    figures.arena_whole_bytes = Some(converted.arena_whole); // a stripped plan does not tell
    if arguments.json {
        let mut value = figures.to_json();
        if let Some(trained) = &converted.trained {
            value["training"] = training::to_json(trained, figures.arena_bytes, figures.state_bytes);
        }
        value["arena_lower_bound"] = json!(converted.schedule.lower_bound);
        value["pruned"] = json!(converted.pruned.iter().map(pruned).collect::<Vec<_>>());
        value["quantization"] = converted.quantization.as_ref().map_or(Value::Null, quantization);
        return print_json(&value);
    }
    let mut text = format!("{} -> {}\n", arguments.conversion.source().display(), arguments.output.display());
    text += &figures.headline();
    if let Some(trained) = &converted.trained {
        text += &training::text(trained, figures.arena_bytes, figures.state_bytes);
    }
    for layer in &converted.pruned {
        let share = |zeros: usize| 100.0 * zeros as f64 / layer.weights.max(1) as f64;
        let (before, zeros, name) = (share(layer.before), share(layer.zeros), short(&layer.node, 60));
        text += &format!(
            "  pruned  {zeros:.1} % of {} weights ({before:.1} % before), {:.1} % of their squares left: {name}\n",
            grouped(layer.weights as u64),
            100.0 * layer.kept
        );
    }
    if let Some(quantization) = &converted.quantization {
        text += &quantization.to_string();
    }
    print(&text);
}

fn pruned(layer: &Pruned) -> Value {
    json!({"node": layer.node, "weights": layer.weights, "zeros_before": layer.before, "zeros": layer.zeros,
        "squares_left": layer.kept})
}

/// What the quantization did; signal-to-noise in decibels against the float network on the calibration samples.
pub fn quantization(report: &Report) -> Value {
    let outputs: Vec<_> =
        report.outputs.iter().map(|(name, snr)| json!({"name": name, "snr_db": snr})).collect();
    let nodes = report.nodes.iter().map(|node| {
        json!({"node": node.node, "op": node.op, "snr_db": node.snr, "lost_db": node.loss,
            "weight_snr_db": node.weight_snr, "range": [node.range.0, node.range.1]})
    });
    let float = report
        .float_nodes
        .iter()
        .map(|node| json!({"node": node.node, "op": node.op, "reason": node.reason}));
    json!({"samples": report.samples, "method": report.method.to_string(), "outputs": outputs,
        "nodes": nodes.collect::<Vec<_>>(), "float_nodes": float.collect::<Vec<_>>()})
}
