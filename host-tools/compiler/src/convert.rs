//! The whole way from a model file to a plan.

use crate::emit::{EmitError, Extras, emit};
use crate::executor::Executor;
use crate::graph::Graph;
use crate::import::{self, ImportError, Imported, Refusal};
use crate::lower::{Choices, Lowered, Step, lower};
use crate::passes;
use crate::quantize::{self, Calibration, QuantizeError};
use crate::schedule::{Schedule, order, schedule};
use crate::stream::time::{Stream, Violation};
use crate::stream::{self, Network, Region, Rows};
use crate::targets;
use mote_runtime::Error;
use mote_runtime::plan::{ConversionRecord, PreprocessRecord};
use std::time::Duration;

/// Number format of the converted network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// As the file has it.
    #[default]
    AsIs,
    /// Float networks are quantized with the calibration samples.
    Int8,
    /// Float networks only.
    F32,
    /// Float networks with weights stored in 16 bits.
    F16,
}

/// What to do with a model.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub precision: Precision,
    /// One of [`target`](mote_runtime::plan::target).
    pub target: u16,
    pub labels: Vec<String>,
    pub preprocess: Vec<PreprocessRecord>,
    /// Leave names and labels out of the plan.
    pub strip: bool,
    /// Keep ONNX images channels first at the plan's border.
    pub keep_layout: bool,
    /// Skip the rewriting of the graph.
    pub no_passes: bool,
    pub calibration: Option<Calibration>,
    /// Regions over rows.
    pub rows: Rows,
    /// Turn the network over clips into one over frames.
    pub stream: Option<Stream>,
    /// Inputs and outputs of an ONNX file that are the state of a network which takes one step at a time, by name.
    pub states: Vec<(String, String)>,
    /// Sizes of open axes of an ONNX file, by their symbol.
    pub sizes: Vec<(String, usize)>,
    /// From frame to frame of a stream; 0 if not known.
    pub frame: Duration,
}

/// A plan and how it came to be.
#[derive(Clone, Debug)]
pub struct Converted {
    pub plan: Vec<u8>,
    /// The graph that was lowered.
    pub graph: Graph,
    /// In the views of their regions.
    pub steps: Vec<Step>,
    pub regions: Vec<Region>,
    pub schedule: Schedule,
    /// Bytes that the arena would need with whole tensors only; of a plan over a stream, which has none, its own.
    pub arena_whole: usize,
    /// What the passes did.
    pub passes: passes::Report,
    /// Figures of the quantization, if there was one.
    pub quantization: Option<quantize::Report>,
}

/// Why a model did not become a plan.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    #[error(transparent)]
    Import(#[from] ImportError),
    #[error("{} node(s) have no kernel:\n{}", .0.len(), import::list(.0))]
    NoKernel(Vec<Refusal>),
    #[error(transparent)]
    Quantize(#[from] QuantizeError),
    #[error(transparent)]
    Emit(#[from] EmitError),
    #[error(
        "int8 needs calibration samples, to see the ranges of the activations; give a folder of pictures or a .npy \
         file (`--calibrate`), or name random ones (`--calibrate random`) to only try things out"
    )]
    NoCalibration,
    #[error(
        "a float network that keeps its own state cannot be calibrated step by step; quantize the network over \
         whole windows, and convert that with --stream"
    )]
    States,
    #[error("the network cannot run frame by frame:\n{}", lines(.0))]
    Stream(Vec<Violation>),
    #[error("the network is int8 already; a float one was asked for")]
    AlreadyQuantized,
    /// A defect of the compiler: it wrote a plan that the runtime refuses.
    #[error("internal error: the plan was refused: {0}")]
    Refused(#[from] Error),
}

fn lines(violations: &[Violation]) -> String {
    violations.iter().map(|violation| format!("  {violation}")).collect::<Vec<_>>().join("\n")
}

/// Format of a model file, told from its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Onnx,
    Tflite,
}

impl Format {
    /// TFLite files carry `TFL3` at byte 4; everything else is tried as ONNX.
    pub fn of(bytes: &[u8]) -> Self {
        if bytes.get(4..8) == Some(b"TFL3") { Format::Tflite } else { Format::Onnx }
    }
}

/// Reads a model file into a graph.
pub fn import(bytes: &[u8], options: &Options) -> Result<Imported, ImportError> {
    let imported = match Format::of(bytes) {
        Format::Tflite => import::tflite::import(bytes),
        Format::Onnx => {
            let onnx =
                import::onnx::OnnxOptions { channels_last_io: !options.keep_layout, ..Default::default() };
            let symbols = options.sizes.iter().cloned().collect();
            let onnx = import::onnx::OnnxOptions { states: options.states.clone(), symbols, ..onnx };
            import::onnx::import(bytes, &onnx)
        }
    };
    match imported {
        Err(ImportError::Unsupported(refusals)) if options.stream.is_some() => {
            Err(ImportError::Unsupported(stream::time::explain(refusals)))
        }
        imported => imported,
    }
}

/// Converts a model file.
pub fn convert(bytes: &[u8], options: &Options) -> Result<Converted, ConvertError> {
    let imported = import(bytes, options)?;
    compile(imported.graph, options)
}

/// Converts a graph.
pub fn compile(mut graph: Graph, options: &Options) -> Result<Converted, ConvertError> {
    let passes = if options.no_passes { passes::Report::default() } else { passes::optimize(&mut graph) };
    let quantized = graph.tensors.iter().any(|t| t.quant.is_some() && !t.is_constant());
    let mut quantization = None;
    match options.precision {
        Precision::F32 | Precision::F16 if quantized => return Err(ConvertError::AlreadyQuantized),
        Precision::Int8 if !quantized && !graph.states.is_empty() => return Err(ConvertError::States),
        Precision::Int8 if !quantized => {
            let calibration = options.calibration.as_ref().ok_or(ConvertError::NoCalibration)?;
            let (int8, report) = quantize::quantize(&graph, calibration)?;
            graph = int8;
            quantization = Some(report);
        }
        _ => {}
    }
    if !options.labels.is_empty() {
        graph.labels = options.labels.clone();
    }
    let half = options.precision == Precision::F16;
    let packer = targets::profile(options.target).packer;
    let by_steps = !graph.states.is_empty();
    if let Some(stream) = &options.stream {
        graph = stream::time::by_frames(&graph, stream).map_err(ConvertError::Stream)?;
    }
    let choices = Choices { half_weights: half, running_sums: options.stream.is_none() && !by_steps, packer };
    let lowered = lower(&mut graph, &choices).map_err(ConvertError::NoKernel)?;
    let Planned { lowered, regions, schedule, arena_whole } = match &options.stream {
        Some(stream) => plan_stream(&mut graph, lowered, stream)?,
        None if by_steps => plan_steps(&mut graph, lowered)?,
        None => plan_memory(&graph, lowered, options.rows, packer.rows_at_a_time()),
    };
    let conversion = ConversionRecord {
        arena_whole: arena_whole as u32,
        frame_micros: options.frame.as_micros().try_into().unwrap_or(u32::MAX),
    };
    let extras = Extras {
        target: options.target,
        preprocess: options.preprocess.clone(),
        conversion: Some(conversion),
        strip: options.strip,
    };
    let plan = emit(&graph, &lowered, &regions, &schedule, &extras)?;
    // The runtime's own opinion of the plan.
    Executor::new(&plan).map_err(|error| refused(error, &lowered.steps))?;
    let steps = lowered.steps;
    Ok(Converted { plan, graph, steps, regions, schedule, arena_whole, passes, quantization })
}

/// Steps in the views of their regions, with addresses.
struct Planned {
    lowered: Lowered,
    regions: Vec<Region>,
    schedule: Schedule,
    arena_whole: usize,
}

impl Planned {
    /// Gives addresses to steps whose views are those of their regions already.
    fn new(graph: &Graph, lowered: Lowered, regions: Vec<Region>) -> Self {
        let schedule = schedule(graph, &lowered, &regions);
        let arena_whole = schedule.arena;
        Self { lowered, regions, schedule, arena_whole }
    }

    /// Rewrites the views first.
    fn applied(graph: &Graph, mut lowered: Lowered, regions: Vec<Region>) -> Self {
        stream::apply(graph, &mut lowered, &regions);
        Self::new(graph, lowered, regions)
    }
}

/// One region without end.
fn plan_stream(graph: &mut Graph, mut lowered: Lowered, stream: &Stream) -> Result<Planned, ConvertError> {
    stream::name_outputs(graph, &lowered);
    let region = stream::endless(&Network::new(graph, &lowered), stream.hop).map_err(ConvertError::Stream)?;
    let mut regions = [region];
    stream::apply(graph, &mut lowered, &regions);
    let [region] = &mut regions;
    stream::apart(graph, &mut lowered, region);
    stream::settle_period(&lowered, region).map_err(ConvertError::Stream)?;
    Ok(Planned::new(graph, lowered, regions.to_vec()))
}

/// One region without end, all of which runs at every tick.
fn plan_steps(graph: &mut Graph, mut lowered: Lowered) -> Result<Planned, ConvertError> {
    let region = stream::stepwise(graph, &mut lowered).map_err(ConvertError::Stream)?;
    Ok(Planned::new(graph, lowered, vec![region]))
}

/// The plan with the least arena: whole tensors, or regions over rows; the graph's order of steps, or a better one. Of
/// equal ones the first. Then as many rows at a time as the target likes (`at_a_time`), for a sixth of it at the most.
fn plan_memory(graph: &Graph, lowered: Lowered, rows: Rows, at_a_time: usize) -> Planned {
    let order = order::order(&Network::new(graph, &lowered));
    let other = order.map(|order| order::reordered(&lowered, &order));
    let orders: Vec<Lowered> = [Some(lowered), other].into_iter().flatten().collect();
    let least = |regions: &dyn Fn(&Lowered) -> Vec<Region>| {
        let planned = orders.iter().map(|lowered| Planned::applied(graph, lowered.clone(), regions(lowered)));
        let best =
            planned.reduce(|best, next| if next.schedule.arena < best.schedule.arena { next } else { best });
        best.unwrap_or_else(|| unreachable!("the graph's own order is one"))
    };
    let whole = least(&|lowered| stream::plain(lowered.steps.len()));
    if rows == Rows::Off {
        return whole;
    }
    let by_rows = least(&|lowered| stream::choose(&Network::new(graph, lowered)));
    let arena_whole = whole.arena_whole;
    let several = least(&|lowered| {
        let network = Network::new(graph, lowered);
        stream::several(&network, &stream::choose(&network), at_a_time)
    });
    let worth = several.schedule.arena <= by_rows.schedule.arena / 6 * 7;
    let by_rows = if at_a_time > 1 && worth { several } else { by_rows };
    if by_rows.schedule.arena < arena_whole { Planned { arena_whole, ..by_rows } } else { whole }
}

/// A kernel that refuses a step does so for the network's numbers, such as scales that are too far apart.
fn refused(error: Error, steps: &[Step]) -> ConvertError {
    match error {
        Error::Step { index, fault } if index < steps.len() => {
            let step = &steps[index];
            let reason =
                format!("its numbers are outside of what the kernel accepts ({fault:?}): look at its scales");
            let (node, operator) = (step.name.clone(), step.op.into());
            ConvertError::NoKernel(vec![Refusal { node, operator, reason, instead: None }])
        }
        error => ConvertError::Refused(error),
    }
}
