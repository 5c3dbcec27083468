//! `mote run`: a plan on a picture or on tensors.

use crate::failure::{Failure, Outcome};
use crate::files::{check_apart, check_writable, read};
use crate::npy::{self, Numbers};
use crate::picture;
use crate::report::{grouped, print, print_json};
use clap::Args;
use mote_compiler::executor::{AlignedBytes, Executor};
use mote_runtime::engine::{Format, Progress};
use mote_runtime::plan::{DType, OperandRecord, RegionKind};
use mote_runtime::{Engine, Error, Plan};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Run a plan on a picture or on tensors
///
/// Tensors are numpy files in the plan's shape, or several with a leading axis, which are run one by one. int8 numbers
/// are the codes of an int8 plan; all others are real numbers, which an int8 plan quantizes. Outputs are written as the
/// plan has them: int8 stays int8.
#[derive(Args)]
pub struct Arguments {
    /// Plan made by `mote convert`
    plan: PathBuf,
    /// A picture (PNG, JPEG) or a tensor (.npy); repeat for further inputs, in the plan's order
    #[arg(short, long, required = true, value_name = "FILE")]
    input: Vec<PathBuf>,
    /// Where to write the output (.npy); repeat for further outputs, in the plan's order
    #[arg(short, long, value_name = "OUT.npy")]
    output: Vec<PathBuf>,
    /// How many classes to show
    #[arg(long, default_value_t = 5, value_name = "N")]
    top: usize,
    /// Hand over the input row by row, as a camera delivers it, and check that this gives the same bytes: for plans
    /// that take their input row by row (see `mote inspect`)
    #[arg(long)]
    push_rows: bool,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
}

/// An input's samples.
struct Samples {
    numbers: Numbers,
    count: usize,
    format: Format,
}

/// How rows were pushed.
struct Pushed {
    rows: usize,
    row_bytes: usize,
    frame_bytes: usize,
    /// Rows that the plan keeps in the arena.
    kept: usize,
}

pub fn run(arguments: &Arguments) -> Outcome {
    for path in &arguments.output {
        check_writable(path)?;
        check_apart(path, arguments.input.iter().chain([&arguments.plan]))?;
    }
    let bytes = read(&arguments.plan)?;
    let failure = Failure::plan(&arguments.plan);
    let mut executor = Executor::new(&bytes).map_err(failure)?;
    let aligned = AlignedBytes::from_slice(&bytes);
    let plan = Plan::parse(aligned.as_ref()).map_err(Failure::plan(&arguments.plan))?;
    check_arguments(&plan, arguments)?;
    let formats: Vec<Format> = executor
        .with(|engine| (0..arguments.input.len()).map(|i| engine.input_format(i)).collect())
        .map_err(failure)?;
    let inputs = formats.iter().zip(&arguments.input).enumerate();
    let inputs: Vec<Samples> =
        inputs.map(|(port, (format, path))| load(&plan, port, *format, path)).collect::<Result<_, _>>()?;
    let samples = inputs.first().map_or(0, |input| input.count);
    if let Some(other) = inputs.iter().position(|input| input.count != samples) {
        let reason = format!("{} samples, but the first input has {samples}", inputs[other].count);
        return Err(Failure::input(&arguments.input[other], reason, "give as many samples of every input"));
    }

    let mut collected = vec![Vec::new(); ports(&plan, 1)];
    let mut pushed = None;
    let mut equal = true;
    let driven = executor.with(|engine| {
        for index in 0..samples {
            let encoded: Vec<Vec<u8>> = inputs
                .iter()
                .map(|input| encode(input, index, 0..input.format.len()))
                .collect::<Result<_, _>>()?;
            engine.run_on(&encoded.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
            let whole = outputs(engine, collected.len())?;
            if let (true, Some(input)) = (arguments.push_rows, inputs.first()) {
                pushed = Some(push(engine, input, index)?);
                equal &= outputs(engine, collected.len())? == whole;
            }
            collected.iter_mut().zip(&whole).for_each(|(all, bytes)| all.extend_from_slice(bytes));
        }
        Ok(())
    });
    driven.map_err(failure)?;
    if !equal {
        return Err(Failure::Defect {
            message: "rows pushed one by one give other outputs than whole inputs".into(),
        });
    }
    save(&mut executor, arguments, samples, &collected)?;
    if arguments.output.is_empty() || arguments.json || pushed.is_some() {
        show(&mut executor, &plan, samples, pushed.as_ref(), arguments)?;
    }
    Ok(())
}

fn ports(plan: &Plan<'_>, direction: u8) -> usize {
    (0..).map_while(|i| plan.port_of(direction, i)).count()
}

/// Whether the arguments suit the plan.
fn check_arguments(plan: &Plan<'_>, arguments: &Arguments) -> Outcome {
    let (inputs, outputs) = (ports(plan, 0), ports(plan, 1));
    let first = plan.region(0);
    if first.is_some_and(|region| region.kind == RegionKind::Endless as u8) {
        let help = "use `mote stream` with this plan, or convert the model without --stream";
        return Err(Failure::usage("this plan runs frame by frame, without end", help));
    }
    if arguments.input.len() != inputs {
        let message = format!("the plan has {inputs} input(s), {} given", arguments.input.len());
        return Err(Failure::usage(message, "give --input once for each; `mote inspect` lists them"));
    }
    if arguments.output.len() > outputs {
        let message = format!("the plan has {outputs} output(s), {} given", arguments.output.len());
        return Err(Failure::usage(
            message,
            "give --output at most once for each; `mote inspect` lists them",
        ));
    }
    let by_rows = plan.port_view(0, 0).is_some_and(|view| view.is_ring());
    if arguments.push_rows && !by_rows {
        let help = "convert the model with --rows auto; rows are taken only where that lowers the peak of memory, \
                    and never of a network whose first layer needs the whole input";
        return Err(Failure::usage("this plan takes its input as a whole, not row by row", help));
    }
    Ok(())
}

fn load(plan: &Plan<'_>, port: usize, format: Format, path: &Path) -> Result<Samples, Failure> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("npy")) {
        let tensor = npy::load(path)?;
        let shape: Vec<u64> = format.shape().iter().map(|&n| n.into()).collect();
        let count = tensor.samples(path, &shape, "sample")?;
        return Ok(Samples { numbers: tensor.numbers, count, format });
    }
    let index = plan.port_of(0, port).unwrap_or(port);
    let recipe = plan.preprocess(index).ok_or_else(|| {
        let help = "convert the model with --preprocess FILE.json, or give a .npy file";
        Failure::input(path, "the plan does not tell how a picture becomes its input", help)
    })?;
    picture::check(&recipe, format.len(), path)?;
    Ok(Samples { numbers: Numbers::F32(picture::load(path, &recipe)?), count: 1, format })
}

/// Bytes of some elements of sample `index`.
fn encode(input: &Samples, index: usize, elements: std::ops::Range<usize>) -> Result<Vec<u8>, Error> {
    let start = index * input.format.len();
    let range = start + elements.start..start + elements.end;
    let missing = Error::Length { needed: range.end, given: input.numbers.len() };
    let reals: Vec<f32> = match &input.numbers {
        Numbers::I8(codes) => {
            let codes = codes.get(range).ok_or(missing)?;
            if input.format.dtype() == DType::I8 {
                return Ok(codes.iter().map(|&code| code as u8).collect());
            }
            codes.iter().map(|&code| code.into()).collect()
        }
        Numbers::F32(values) => values.get(range).ok_or(missing)?.to_vec(),
    };
    let size = input.format.dtype().size();
    let mut bytes = vec![0; reals.len() * size];
    for (element, &value) in bytes.chunks_exact_mut(size).zip(&reals) {
        input.format.encode(value, element).ok_or(Error::Type)?;
    }
    Ok(bytes)
}

fn outputs(engine: &Engine<'_>, count: usize) -> Result<Vec<Vec<u8>>, Error> {
    (0..count).map(|port| Ok(engine.output(port)?.bytes().to_vec())).collect()
}

/// Hands over a sample row by row; only the bytes of one row exist at a time.
fn push(engine: &mut Engine<'_>, input: &Samples, index: usize) -> Result<Pushed, Error> {
    let format = &input.format;
    let row = format.slice_bytes() / format.dtype().size();
    let rows = format.len() / row.max(1);
    for y in 0..rows {
        let bytes = encode(input, index, y * row..(y + 1) * row)?;
        let progress = engine.push(&bytes)?;
        if (progress == Progress::Ready) != (y + 1 == rows) {
            return Err(Error::Drive);
        }
    }
    let view = engine.plan().port_view(0, 0);
    let kept = view.map_or(0, |view: OperandRecord| view.slots as usize);
    Ok(Pushed { rows, row_bytes: format.slice_bytes(), frame_bytes: format.bytes(), kept })
}

fn save(executor: &mut Executor, arguments: &Arguments, samples: usize, collected: &[Vec<u8>]) -> Outcome {
    for (port, (path, bytes)) in arguments.output.iter().zip(collected).enumerate() {
        let kind = executor.with(|engine| {
            let view = engine.output(port)?;
            Ok((view.dtype(), view.shape().iter().map(|&n| u64::from(n)).collect::<Vec<_>>()))
        });
        let (dtype, shape) = kind.map_err(Failure::plan(&arguments.plan))?;
        npy::save(path, dtype, &batched(&shape, samples), bytes)?;
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

/// Tells the last result, which is still in the engine's memory; earlier ones are only written to files.
fn show(
    executor: &mut Executor,
    plan: &Plan<'_>,
    samples: usize,
    pushed: Option<&Pushed>,
    arguments: &Arguments,
) -> Outcome {
    let failure = Failure::plan(&arguments.plan);
    let labels: Vec<&str> = plan.labels().collect();
    let reals: Vec<f32> = executor.with(|engine| Ok(engine.output(0)?.reals().collect())).map_err(failure)?;
    let best = ranking(&reals, arguments.top);
    let name =
        |class: usize| labels.get(class).map_or_else(|| format!("class {class}"), |l| (*l).to_string());
    if arguments.json {
        let top: Vec<_> =
            best.iter().map(|&c| json!({"class": c, "label": name(c), "value": reals[c]})).collect();
        let mut value = json!({"samples": samples, "top": top});
        if let Some(p) = pushed {
            value["push_rows"] = json!({"rows": p.rows, "row_bytes": p.row_bytes, "frame_bytes": p.frame_bytes,
                "kept_rows": p.kept, "equal_to_run": true});
        }
        print_json(&value);
        return Ok(());
    }
    let mut text = String::new();
    if let Some(p) = pushed {
        text += &format!(
            "{} rows pushed, {} bytes at a time; the plan keeps {} of them in its arena, and nothing holds the frame of \
             {} bytes\nthe outputs equal those of whole inputs, byte for byte\n",
            p.rows,
            grouped(p.row_bytes as u64),
            p.kept,
            grouped(p.frame_bytes as u64)
        );
    }
    if samples > 1 {
        text += &format!("{samples} samples; the last one:\n");
    }
    for &class in &best {
        text += &format!("{:>10.4}  {}\n", reals[class], name(class));
    }
    if reals.len() > best.len() {
        text += &format!("({} values in all; --output X.npy writes them)\n", reals.len());
    }
    print(&text);
    Ok(())
}

/// Indices of the largest values, largest first; equal ones in order.
pub fn ranking(values: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
    order.truncate(count);
    order
}
