//! `mote eval`: accuracy on labelled pictures, int8 beside float, and where the difference comes from.

use super::conversion::{channels_first, input_shape};
use crate::failure::{Failure, Outcome};
use crate::files::read;
use crate::picture::{self, Recipe};
use crate::report::{print, print_json};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use mote_compiler::compare::{Layer, compare};
use mote_compiler::convert::{Options, Precision, compile, import};
use mote_compiler::executor::{AlignedBytes, Executor};
use mote_runtime::Plan;
use mote_runtime::plan::{PreprocessRecord, RegionKind, TensorRecord};
use serde_json::{Value, json};
use std::path::PathBuf;

/// Accuracy on a folder of labelled pictures, int8 beside float
///
/// With --float, also what int8 costs: the answers of both, the signal-to-noise ratio of every layer against the float
/// network, and the layer that loses most.
#[derive(Args)]
pub struct Arguments {
    /// Plan made by `mote convert`
    plan: PathBuf,
    /// Folder with one folder of pictures per class, named like the plan's labels; of a plan without labels the classes
    /// are the folders in order of their names
    #[arg(long, value_name = "DIR")]
    images: PathBuf,
    /// At most this many pictures, evenly from all
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The float model that the plan was made from: adds float accuracy and the signal-to-noise of every layer
    #[arg(long, value_name = "MODEL")]
    float: Option<PathBuf>,
    /// How pictures become inputs, if the plan does not tell
    #[arg(long, value_name = "FILE.json")]
    preprocess: Option<PathBuf>,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Pictures on which the layers are compared.
const COMPARED: usize = 8;

pub fn run(arguments: &Arguments) -> Outcome {
    let bytes = read(&arguments.plan)?;
    let failure = Failure::plan(&arguments.plan);
    let aligned = AlignedBytes::from_slice(&bytes);
    let plan = Plan::parse(aligned.as_ref()).map_err(Failure::plan(&arguments.plan))?;
    if plan.region(0).is_some_and(|region| region.kind == RegionKind::Endless as u8) {
        let help = "give a plan that was converted without --stream";
        return Err(Failure::usage("this plan runs frame by frame; pictures need a whole run", help));
    }
    let mut executor = Executor::new(&bytes).map_err(failure)?;
    let recipe = recipe(&plan, arguments)?;
    let length = executor.with(|engine| Ok(engine.input_format(0)?.len())).map_err(failure)?;
    picture::check(&recipe, length, arguments.preprocess.as_deref().unwrap_or(&arguments.plan))?;
    let pictures = pictures(&plan, arguments)?;
    let classes = executor.with(|engine| Ok(engine.output(0)?.len())).map_err(failure)?;
    if let Some((_, class)) = pictures.iter().find(|(_, class)| *class >= classes) {
        let reason =
            format!("there is a folder for class {class}, but the network tells {classes} classes apart");
        let help =
            "give one folder for each class, in the network's order; with --labels they are found by name";
        return Err(Failure::input(&arguments.images, reason, help));
    }

    let mut contestants = vec![("plan", executor)];
    let mut layers = Vec::new();
    if let Some(model) = &arguments.float {
        let file = read(model)?;
        let options = Options { precision: Precision::F32, ..Options::default() };
        let graph = import(&file, &options).map_err(Failure::convert(model))?.graph;
        let recipe = PreprocessRecord { layout: channels_first(input_shape(&graph)).into(), ..recipe };
        let float = compile(graph, &options).map_err(Failure::convert(model))?;
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
        print_json(&value);
        return Ok(());
    }
    let mut text = format!("{} pictures of {}\n", pictures.len(), arguments.images.display());
    for ((name, _), &count) in contestants.iter().zip(&right) {
        text += &format!("  {name:<6} {:>6.2} % right\n", 100.0 * share(count));
    }
    if right.len() > 1 {
        text += &format!("  same answer on {:.2} %\n{}", 100.0 * share(agree), table(&layers));
        if let Some(layer) = worst {
            text += &format!("  most is lost in {}: {:.1} dB\n", layer.name, layer.lost_db);
        }
    }
    print(&text);
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
            Recipe::load(path)?.record(path, 0, first)
        }
        (None, Some(recipe)) => Ok(recipe),
        (None, None) => Err(Failure::usage(
            "the plan does not tell how pictures become its input",
            "convert with --preprocess FILE.json, or give it here",
        )),
    }
}

/// Pictures with the class index that the network uses: by label if the plan has labels, else by folder order.
fn pictures(plan: &Plan<'_>, arguments: &Arguments) -> Result<Vec<(PathBuf, usize)>, Failure> {
    let labels: Vec<&str> = plan.labels().collect();
    let folders = picture::class_folders(&arguments.images)?;
    if folders.is_empty() {
        let help = "put the pictures of each class into a folder of its own";
        return Err(Failure::input(&arguments.images, "it holds no class folders", help));
    }
    let class = |index: usize| -> Option<usize> {
        let folder = folders.get(index)?;
        if labels.is_empty() { Some(index) } else { labels.iter().position(|label| label == folder) }
    };
    let unknown: Vec<&String> =
        (0..).zip(&folders).filter(|(i, _)| class(*i).is_none()).map(|(_, f)| f).collect();
    if !unknown.is_empty() {
        let reason = format!("folders without a label in the plan: {unknown:?}");
        let help = format!("name the folders like the labels: {}", labels.join(", "));
        return Err(Failure::input(&arguments.images, reason, help));
    }
    let all: Vec<(PathBuf, usize)> = picture::list(&arguments.images)?
        .into_iter()
        .filter_map(|(path, folder)| Some((path, class(folder?)?)))
        .collect();
    if all.is_empty() {
        return Err(Failure::input(&arguments.images, "it holds no pictures", picture::FOLDER_HELP));
    }
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
