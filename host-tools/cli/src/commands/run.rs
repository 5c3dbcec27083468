//! `mote run`: a plan on a picture or on tensors.

use crate::failure::{Failure, Outcome, read};
use crate::npy::{self, Numbers};
use crate::picture;
use clap::Args;
use mote_compiler::executor::{Executor, encode};
use mote_runtime::Plan;
use mote_runtime::engine::Format;
use mote_runtime::plan::DType;
use serde_json::json;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub struct Arguments {
    /// Plan file
    plan: PathBuf,
    /// A picture (PNG, JPEG) or a tensor (.npy); repeat for further inputs
    #[arg(short, long, required = true)]
    input: Vec<PathBuf>,
    /// Where to write the outputs (.npy); repeat for further outputs
    #[arg(short, long)]
    output: Vec<PathBuf>,
    /// How many classes to show
    #[arg(long, default_value_t = 5)]
    top: usize,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let bytes = read(&arguments.plan)?;
    let failure = |source| Failure::Plan { path: arguments.plan.clone(), source };
    let mut executor = Executor::new(&bytes).map_err(failure)?;
    let aligned = mote_compiler::executor::AlignedBytes::from_slice(&bytes);
    let plan = Plan::parse(aligned.as_ref()).map_err(|e| failure(e.into()))?;

    let ports = executor.with(|engine| Ok((engine.inputs(), engine.outputs()))).map_err(failure)?;
    if arguments.input.len() != ports.0 {
        return Err(Failure::Usage(format!(
            "the plan has {} input(s), {} given",
            ports.0,
            arguments.input.len()
        )));
    }
    if arguments.output.len() > ports.1 {
        return Err(Failure::Usage(format!("the plan has {} output(s)", ports.1)));
    }
    let loaded: Result<Vec<_>, _> =
        (0..).zip(&arguments.input).map(|(i, path)| load(&plan, i, path)).collect();
    let loaded = loaded?;

    let mut collected = vec![Vec::new(); ports.1];
    let mut samples = None;
    executor
        .with(|engine| {
            let mut index = 0;
            loop {
                let mut inputs = Vec::new();
                for (port, numbers) in loaded.iter().enumerate() {
                    inputs.extend(sample(&engine.input_format(port)?, numbers, index)?);
                }
                if inputs.len() < loaded.len() {
                    break;
                }
                engine.run_on(&inputs.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
                for (port, bytes) in collected.iter_mut().enumerate() {
                    bytes.extend_from_slice(engine.output(port)?.bytes());
                }
                index += 1;
            }
            samples = Some(index);
            Ok(())
        })
        .map_err(failure)?;
    let samples = samples.unwrap_or(0);
    if samples == 0 {
        return Err(Failure::Usage("the input holds no whole sample".into()));
    }
    check_lengths(&mut executor, &loaded, samples, arguments)?;

    let outputs: Vec<(DType, Vec<u64>)> = executor
        .with(|engine| {
            (0..ports.1)
                .map(|port| {
                    let view = engine.output(port)?;
                    Ok((view.dtype(), view.shape().iter().map(|&n| n.into()).collect()))
                })
                .collect()
        })
        .map_err(failure)?;
    for (port, path) in arguments.output.iter().enumerate() {
        let (dtype, shape) = &outputs[port];
        npy::save(path, *dtype, &batched(shape, samples), &collected[port])?;
    }
    if arguments.output.is_empty() || arguments.json {
        show(&mut executor, &plan, &collected, samples, arguments)?;
    }
    Ok(())
}

/// The plan's shape with a leading sample axis: its own batch axis of 1 where it has one.
fn batched(shape: &[u64], samples: usize) -> Vec<u64> {
    match shape {
        [1, rest @ ..] => [&[samples as u64], rest].concat(),
        _ if samples == 1 => shape.to_vec(),
        _ => [&[samples as u64], shape].concat(),
    }
}

fn load(plan: &Plan<'_>, port: usize, path: &Path) -> Result<Numbers, Failure> {
    if path.extension().is_some_and(|e| e == "npy") {
        return Ok(npy::load(path)?.numbers);
    }
    let index = plan.port_of(0, port).unwrap_or(port);
    let recipe = plan.preprocess(index).ok_or_else(|| Failure::Hint {
        message: "the plan does not tell how a picture becomes its input".into(),
        help: "convert the model with --preprocess FILE.json, or give a .npy file".into(),
    })?;
    Ok(Numbers::F32(picture::load(path, &recipe)?))
}

/// Bytes of sample `index` of an input; `None` where there are no more.
fn sample(format: &Format, numbers: &Numbers, index: usize) -> Result<Option<Vec<u8>>, mote_runtime::Error> {
    let range = index * format.len()..(index + 1) * format.len();
    let reals: Vec<f32> = match numbers {
        Numbers::I8(values) => {
            let Some(values) = values.get(range) else { return Ok(None) };
            if format.dtype() == DType::I8 {
                return Ok(Some(values.iter().map(|&value| value as u8).collect()));
            }
            values.iter().map(|&value| value.into()).collect()
        }
        Numbers::F32(values) => {
            let Some(values) = values.get(range) else { return Ok(None) };
            values.to_vec()
        }
    };
    encode(format, &reals).map(Some)
}

fn check_lengths(
    executor: &mut Executor,
    loaded: &[Numbers],
    samples: usize,
    arguments: &Arguments,
) -> Outcome {
    for (port, numbers) in loaded.iter().enumerate() {
        let failure = |source| Failure::Plan { path: arguments.plan.clone(), source };
        let needed = executor.with(|engine| Ok(engine.input_format(port)?.len())).map_err(failure)?;
        let given = match numbers {
            Numbers::I8(values) => values.len(),
            Numbers::F32(values) => values.len(),
        };
        if given != samples * needed {
            let reason = format!("{given} numbers are not a whole number of samples of {needed}");
            return Err(Failure::Npy { path: arguments.input[port].clone(), reason });
        }
    }
    Ok(())
}

fn show(
    executor: &mut Executor,
    plan: &Plan<'_>,
    collected: &[Vec<u8>],
    samples: usize,
    arguments: &Arguments,
) -> Outcome {
    let failure = |source| Failure::Plan { path: arguments.plan.clone(), source };
    // The last result is still in the engine's memory; earlier ones are only written to files.
    let labels: Vec<&str> = plan.labels().collect();
    let reals: Vec<f32> = executor.with(|engine| Ok(engine.output(0)?.reals().collect())).map_err(failure)?;
    let best = ranking(&reals, arguments.top);
    let name =
        |class: usize| labels.get(class).map_or_else(|| format!("class {class}"), |l| (*l).to_string());
    if arguments.json {
        let top: Vec<_> =
            best.iter().map(|&c| json!({"class": c, "label": name(c), "value": reals[c]})).collect();
        println!("{:#}", json!({"samples": samples, "top": top}));
        return Ok(());
    }
    if samples > 1 {
        println!("{samples} samples; the last one:");
    }
    for class in best {
        println!("{:>10.4}  {}", reals[class], name(class));
    }
    if let Some(bytes) = collected.first() {
        println!("({} output bytes in all; --output X.npy keeps them)", bytes.len());
    }
    Ok(())
}

/// Indices of the largest values, largest first; equal ones in order.
pub fn ranking(values: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(count);
    order
}
