//! `mote demo`: the bundled network, from ONNX to predictions, with nothing but this repository.

use super::convert::samples;
use super::{inspect, run};
use crate::failure::{Failure, Outcome, read};
use crate::picture::{self, Recipe};
use crate::report::{self, Figures};
use clap::Args;
use mote_compiler::compare::compare;
use mote_compiler::convert::{Options, Precision, compile, import};
use mote_compiler::executor::Executor;
use mote_compiler::quantize::Calibration;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Arguments {
    /// Folder of the bundled network
    #[arg(long, default_value_os_t = bundled())]
    folder: PathBuf,
}

fn bundled() -> PathBuf {
    let here = Path::new("models/cifar10");
    if here.is_dir() {
        here.into()
    } else {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/cifar10")
    }
}

pub fn run(arguments: &Arguments) -> Outcome {
    let folder = &arguments.folder;
    let model = folder.join("cifar10_small.onnx");
    let bytes = read(&model)?;
    let labels =
        String::from_utf8_lossy(&read(&folder.join("labels.txt"))?).lines().map(str::to_owned).collect();
    let failure = |source| Failure::Convert { path: model.clone(), source: Box::new(source) };

    let recipe = Recipe::load(&folder.join("preprocess.json"))?.record(0, false)?;
    let mut options =
        Options { precision: Precision::F32, labels, preprocess: vec![recipe], ..Options::default() };
    println!("1. convert {} to float and to int8 (calibrated on bundled pictures)\n", model.display());
    let graph = import(&bytes, &options).map_err(|e| failure(e.into()))?.graph;
    let float = compile(graph.clone(), &options).map_err(failure)?;
    let calibration = folder.join("samples/calibration");
    let samples = samples(&calibration.to_string_lossy(), &graph, &options, 64)?;
    options.precision = Precision::Int8;
    options.calibration = Some(Calibration { samples, ..Calibration::default() });
    let int8 = compile(graph, &options).map_err(failure)?;
    for (name, converted) in [("float", &float), ("int8", &int8)] {
        println!("{name}");
        print!("{}", report::headline(&converted.plan));
    }

    println!("\n2. the int8 plan's memory");
    if let Some(figures) = Figures::of(&int8.plan) {
        print!("{}", inspect::memory_map(&figures));
    }

    println!("\n3. bundled pictures, int8 beside float");
    let plan_failure = |source| Failure::Plan { path: model.clone(), source };
    let mut executors =
        [Executor::new(&int8.plan).map_err(plan_failure)?, Executor::new(&float.plan).map_err(plan_failure)?];
    let pictures = picture::list(&folder.join("samples"))?;
    let mut inputs = Vec::new();
    println!("  {:<18} {:<24} {:<24}", "picture", "int8", "float");
    for (path, class) in pictures {
        if class.is_some() {
            continue; // calibration pictures lie in a folder of their own
        }
        let values = picture::load(&path, &recipe)?;
        let mut line = format!("  {:<18}", path.file_name().unwrap_or_default().to_string_lossy());
        for executor in &mut executors {
            let outputs = executor.run_reals(&[&values]).map_err(plan_failure)?;
            let logits = outputs.first().map_or(&[][..], |o| o);
            if let Some(&class) = run::ranking(logits, 1).first() {
                let label = options.labels.get(class).map_or("?", |l| l);
                line += &format!(" {label:<14} {:>6.1} % ", 100.0 * confidence(logits, class));
            }
        }
        println!("{line}");
        inputs.push(values);
    }

    let layers = compare(&float.plan, &int8.plan, &inputs).map_err(plan_failure)?;
    if let Some(last) = layers.last() {
        println!(
            "\n4. int8 against float over these pictures: {:.1} dB signal to noise at the output",
            last.snr_db
        );
    }
    Ok(())
}

/// Softmax of the logits at `class`.
fn confidence(logits: &[f32], class: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| f64::from(l - largest).exp()).sum();
    logits.get(class).map_or(0.0, |&l| f64::from(l - largest).exp() / sum)
}
