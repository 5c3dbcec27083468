//! `mote eval`: accuracy on labelled pictures, int8 beside float, and where the difference comes from.

use super::convert::{channels_first, input_shape};
use crate::failure::{Failure, Outcome, read};
use crate::picture::{self, Recipe};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use mote_compiler::compare::{Layer, compare};
use mote_compiler::convert::{Options, Precision, compile, import};
use mote_compiler::executor::{AlignedBytes, Executor};
use mote_runtime::Plan;
use mote_runtime::plan::{PreprocessRecord, TensorRecord};
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args)]
pub struct Arguments {
    /// Plan file
    plan: PathBuf,
    /// Folder with one folder of pictures per class
    #[arg(long)]
    images: PathBuf,
    /// At most this many pictures, evenly from all classes
    #[arg(long)]
    limit: Option<usize>,
    /// The float model that the plan was made from: adds float accuracy and the signal-to-noise of every layer
    #[arg(long, value_name = "MODEL")]
    float: Option<PathBuf>,
    /// How pictures become inputs, if the plan does not tell
    #[arg(long, value_name = "FILE.json")]
    preprocess: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

/// Pictures on which the layers are compared.
const COMPARED: usize = 8;

pub fn run(arguments: &Arguments) -> Outcome {
    let bytes = read(&arguments.plan)?;
    let failure = |source| Failure::Plan { path: arguments.plan.clone(), source };
    let aligned = AlignedBytes::from_slice(&bytes);
    let plan = Plan::parse(aligned.as_ref()).map_err(|e| failure(e.into()))?;
    let recipe = recipe(&plan, arguments)?;
    let pictures = pictures(&plan, arguments)?;

    let mut contestants = vec![("plan", Executor::new(&bytes).map_err(failure)?)];
    let mut layers = Vec::new();
    if let Some(model) = &arguments.float {
        let file = read(model)?;
        let failed = |source| Failure::Convert { path: model.clone(), source: Box::new(source) };
        let options = Options { precision: Precision::F32, ..Options::default() };
        let graph = import(&file, &options).map_err(|e| failed(e.into()))?.graph;
        let recipe = PreprocessRecord { layout: channels_first(input_shape(&graph)).into(), ..recipe };
        let float = compile(graph, &options).map_err(failed)?;
        let few: Vec<Vec<f32>> = pictures
            .iter()
            .step_by((pictures.len() / COMPARED).max(1))
            .take(COMPARED)
            .map(|(path, _)| picture::load(path, &recipe))
            .collect::<Result<_, _>>()?;
        layers = compare(&float.plan, &bytes, &few).map_err(failure)?;
        contestants.push(("float", Executor::new(&float.plan).map_err(failure)?));
    }

    let mut right = vec![0usize; contestants.len()];
    let mut agree = 0usize;
    let bar = progress(arguments.json, pictures.len());
    for (path, class) in &pictures {
        let values = picture::load(path, &recipe)?;
        let mut answers = Vec::new();
        for (index, (_, executor)) in contestants.iter_mut().enumerate() {
            let outputs = executor.run_reals(&[&values]).map_err(failure)?;
            let answer = super::run::ranking(outputs.first().map_or(&[][..], |o| o), 1).first().copied();
            right[index] += usize::from(answer == Some(*class));
            answers.push(answer);
        }
        agree += usize::from(answers.first() == answers.last());
        bar.inc(1);
    }
    bar.finish_and_clear();

    let share = |count: usize| count as f64 / pictures.len().max(1) as f64;
    let worst =
        layers.iter().filter(|l| l.lost_db.is_finite()).max_by(|a, b| a.lost_db.total_cmp(&b.lost_db));
    if arguments.json {
        let mut value = json!({"accuracy": share(right[0]), "samples": pictures.len()});
        if right.len() > 1 {
            value["float_accuracy"] = json!(share(right[1]));
            value["agreement"] = json!(share(agree));
            value["layers"] = layers.iter().map(layer_json).collect();
            value["worst_layer"] = json!(worst.map(|l| l.name.clone()));
        }
        println!("{value:#}");
        return Ok(());
    }
    println!("{} pictures of {}", pictures.len(), arguments.images.display());
    for ((name, _), &count) in contestants.iter().zip(&right) {
        println!("  {name:<6} {:>6.2} % right", 100.0 * share(count));
    }
    if right.len() > 1 {
        println!("  same answer on {:.2} %", 100.0 * share(agree));
        print!("{}", table(&layers));
        if let Some(layer) = worst {
            println!("  most is lost in {}: {:.1} dB", layer.name, layer.lost_db);
        }
    }
    Ok(())
}

/// Signal-to-noise of every layer that both networks have.
pub fn table(layers: &[Layer]) -> String {
    let mut text = String::from("  signal to noise of each layer against float\n");
    for layer in layers {
        text += &format!("    {:>7.1} dB  {}\n", layer.snr_db, layer.name);
    }
    text
}

fn layer_json(layer: &Layer) -> Value {
    json!({"name": layer.name, "snr_db": layer.snr_db, "lost_db": layer.lost_db})
}

fn recipe(plan: &Plan<'_>, arguments: &Arguments) -> Result<PreprocessRecord, Failure> {
    let stored = plan.port_of(0, 0).and_then(|port| plan.preprocess(port));
    match (&arguments.preprocess, stored) {
        (Some(path), _) => {
            let port = plan.port_of(0, 0).and_then(|i| plan.port(i));
            let tensor =
                port.and_then(|p| plan.operand(p.operand.into())).and_then(|o| plan.tensor(o.tensor.into()));
            let shape = |t: TensorRecord| t.shape.iter().take(t.rank.into()).map(|&n| n as usize).collect();
            let shape: Vec<usize> = tensor.map(shape).unwrap_or_default();
            let first = channels_first(&shape);
            Recipe::load(path)?.record(0, first)
        }
        (None, Some(recipe)) => Ok(recipe),
        (None, None) => Err(Failure::Hint {
            message: "the plan does not tell how pictures become its input".into(),
            help: "convert with --preprocess FILE.json, or give it here".into(),
        }),
    }
}

/// Pictures with the class index that the network uses: by label if the plan has labels, else by folder order.
fn pictures(plan: &Plan<'_>, arguments: &Arguments) -> Result<Vec<(PathBuf, usize)>, Failure> {
    let labels: Vec<&str> = plan.labels().collect();
    let folders = picture::class_folders(&arguments.images)?;
    if folders.is_empty() {
        return Err(Failure::Hint {
            message: format!("{} holds no class folders", arguments.images.display()),
            help: "put the pictures of each class into a folder of its own".into(),
        });
    }
    let class = |index: usize| -> Option<usize> {
        let folder = folders.get(index)?;
        if labels.is_empty() { Some(index) } else { labels.iter().position(|label| label == folder) }
    };
    let unknown: Vec<&String> =
        (0..).zip(&folders).filter(|(i, _)| class(*i).is_none()).map(|(_, f)| f).collect();
    if !unknown.is_empty() {
        return Err(Failure::Hint {
            message: format!("folders without a label in the plan: {unknown:?}"),
            help: format!("labels: {}", labels.join(", ")),
        });
    }
    let all: Vec<(PathBuf, usize)> = picture::list(&arguments.images)?
        .into_iter()
        .filter_map(|(path, folder)| Some((path, class(folder?)?)))
        .collect();
    let wanted = arguments.limit.unwrap_or(all.len()).min(all.len());
    Ok((0..wanted).map(|i| all[i * all.len() / wanted.max(1)].clone()).collect())
}

fn progress(silent: bool, length: usize) -> ProgressBar {
    if silent {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} left");
    ProgressBar::new(length as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
