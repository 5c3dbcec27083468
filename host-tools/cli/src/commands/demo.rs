//! `mote demo`: the bundled network, from ONNX to predictions, with nothing but this repository.

use super::conversion::samples;
use super::convert::quantization;
use super::run;
use crate::failure::{Failure, Outcome};
use crate::files::{lines, read};
use crate::picture::{self, Recipe};
use crate::report::{Figures, map, print, print_json};
use clap::Args;
use mote_compiler::compare::compare;
use mote_compiler::convert::{Options, Precision, compile, import};
use mote_compiler::executor::Executor;
use mote_compiler::quantize::Calibration;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Convert the bundled network, run it on bundled pictures, show memory and accuracy
#[derive(Args)]
pub struct Arguments {
    /// Folder of the bundled network
    #[arg(long, default_value_os_t = bundled())]
    folder: PathBuf,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
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
    let labels = lines(&folder.join("labels.txt"))?;
    let failure = Failure::convert(&model);
    let say = |text: &str| {
        if !arguments.json {
            print(text)
        }
    };

    let recipe_file = folder.join("preprocess.json");
    let recipe = Recipe::load(&recipe_file)?.record(&recipe_file, 0, false)?;
    let mut options =
        Options { precision: Precision::F32, labels, preprocess: vec![recipe], ..Options::default() };
    say(&format!("1. convert {} to float and to int8 (calibrated on bundled pictures)\n\n", model.display()));
    let graph = import(&bytes, &options).map_err(Failure::convert(&model))?.graph;
    let float = compile(graph.clone(), &options).map_err(failure)?;
    let calibration = folder.join("samples/calibration");
    let samples = samples(&calibration.to_string_lossy(), &graph, &options, 64)?;
    options.precision = Precision::Int8;
    options.calibration = Some(Calibration { samples, ..Calibration::default() });
    let int8 = compile(graph, &options).map_err(failure)?;
    let plan_failure = Failure::plan(&model);
    let figures = |plan: &[u8]| Figures::of(plan).map_err(plan_failure);
    let (float_figures, int8_figures) = (figures(&float.plan)?, figures(&int8.plan)?);
    say(&format!("float\n{}int8\n{}", float_figures.headline(), int8_figures.headline()));
    say(&format!("\n2. the int8 plan's memory\n{}", map::memory(&int8_figures)));

    say("\n3. bundled pictures, int8 beside float\n");
    let mut executors =
        [Executor::new(&int8.plan).map_err(plan_failure)?, Executor::new(&float.plan).map_err(plan_failure)?];
    let mut inputs = Vec::new();
    let mut answers = Vec::new();
    say(&format!("  {:<18} {:<24} {:<24}\n", "picture", "int8", "float"));
    for (path, class) in picture::list(&folder.join("samples"))? {
        if class.is_some() {
            continue; // calibration pictures lie in a folder of their own
        }
        let values = picture::load(&path, &recipe)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut line = format!("  {name:<18}");
        let mut answer = json!({"picture": name});
        for (kind, executor) in ["int8", "float"].into_iter().zip(&mut executors) {
            let outputs = executor.run_reals(&[&values]).map_err(plan_failure)?;
            let logits = outputs.first().map_or(&[][..], |o| o);
            if let Some(&class) = run::ranking(logits, 1).first() {
                let label = options.labels.get(class).map_or("?", |l| l);
                let sure = confidence(logits, class);
                line += &format!(" {label:<14} {:>6.1} % ", 100.0 * sure);
                answer[kind] = json!({"class": class, "label": label, "probability": sure});
            }
        }
        say(&format!("{line}\n"));
        answers.push(answer);
        inputs.push(values);
    }

    let layers = compare(&float.plan, &int8.plan, &inputs).map_err(plan_failure)?;
    let snr = layers.last().map(|last| last.snr_db);
    if let Some(snr) = snr {
        say(&format!(
            "\n4. int8 against float over these pictures: {snr:.1} dB signal to noise at the output\n"
        ));
    }
    if arguments.json {
        print_json(&json!({"float": float_figures.to_json(), "int8": int8_figures.to_json(),
            "quantization": int8.quantization.as_ref().map(quantization), "pictures": answers, "snr_db": snr}));
    }
    Ok(())
}

/// Softmax of the logits at `class`.
fn confidence(logits: &[f32], class: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&l| f64::from(l - largest).exp()).sum();
    logits.get(class).map_or(0.0, |&l| f64::from(l - largest).exp() / sum)
}
