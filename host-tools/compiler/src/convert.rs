//! The whole way from a model file to a plan.

use crate::cost::{
    self,
    choose::{Chooser, StepCosts, lower_cheapest},
};
use crate::emit::{EmitError, Extras, emit};
use crate::executor::Executor;
use crate::graph::{Graph, TensorId};
use crate::import::{self, ImportError, Imported, Refusal};
use crate::lower::sparse::{Room, Rooms};
use crate::lower::{Choices, Lowered, Step};
use crate::passes;
use crate::prune::{self, Prune, Pruned};
use crate::quantize::{self, Calibration, QuantizeError, WeightBits};
use crate::schedule::{Life, Schedule, order, schedule};
use crate::stream::time::{Stream, Violation};
use crate::stream::{self, Network, Region, Rows};
use crate::targets;
use crate::train::{self, TrainRefusal, Trained};
use mote_runtime::Error;
use mote_runtime::plan::{ALIGN, ConversionRecord, PreprocessRecord};
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

/// What matters more where memory and speed are at odds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Goal {
    /// The least arena.
    #[default]
    Memory,
    /// The fewest instructions, by the measured costs of the target.
    Speed,
    /// The fewest instructions of the plans whose arena and state have at most so many bytes.
    Within(usize),
}

/// Layers with many zeros: sparse or dense.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sparsity {
    /// Sparse where that costs less and the arena stays within that of the dense network.
    #[default]
    Auto,
    /// Sparse where that costs less.
    Fast,
    /// Dense.
    Off,
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
    /// Zeros for the smallest weights, before anything else is done with them.
    pub prune: Option<Prune>,
    pub sparse: Sparsity,
    /// The end of the network is trained on the device: the plan is what stands in front of it.
    pub train: Option<train::Options>,
    pub calibration: Option<Calibration>,
    /// Of a network that is int8 already; [`Calibration`] has its own.
    pub weights: WeightBits,
    /// Regions over rows.
    pub rows: Rows,
    /// What matters more.
    pub goal: Goal,
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
    /// Layers that were pruned.
    pub pruned: Vec<Pruned>,
    /// The trained end, if one was asked for.
    pub trained: Option<Trained>,
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
    /// No plan that was found works in so little memory.
    #[error("it needs {needed} bytes to work in (arena, state, training), more than the limit of {limit}")]
    Memory { needed: usize, limit: usize },
    #[error("it cannot be trained so: {0}")]
    Train(#[from] TrainRefusal),
    #[error("the network is int8 already; a float one was asked for")]
    AlreadyQuantized,
    #[error("weights of seven bits (--weight-bits 7) are for int8, and this is a network of floats")]
    NoCodes,
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
    let pruned = options.prune.map_or_else(Vec::new, |options| prune::prune(&mut graph, &options));
    let trained = options.train.as_ref().map(|train| train::split(&mut graph, train)).transpose()?;
    // What training takes is not there for the arena. A network that is trained as a whole needs no arena to be trained.
    let beside = trained.as_ref().map_or(0, Trained::bytes);
    let goal = match options.goal {
        Goal::Within(limit) if beside > limit => return Err(ConvertError::Memory { needed: beside, limit }),
        Goal::Within(limit) if trained.as_ref().is_some_and(|trained| !trained.whole) => {
            Goal::Within(limit - beside)
        }
        goal => goal,
    };
    let quantized = graph.tensors.iter().any(|t| t.quant.is_some() && !t.is_constant());
    let mut quantization = None;
    match options.precision {
        Precision::F32 | Precision::F16 if quantized => return Err(ConvertError::AlreadyQuantized),
        _ if quantized && options.weights == WeightBits::Seven => {
            quantize::narrow(&mut graph);
        }
        Precision::Int8 if !quantized && !graph.states.is_empty() => return Err(ConvertError::States),
        Precision::Int8 if !quantized => {
            let calibration = options.calibration.as_ref().ok_or(ConvertError::NoCalibration)?;
            let (int8, report) = quantize::quantize(&graph, calibration)?;
            graph = int8;
            quantization = Some(report);
        }
        _ if options.weights == WeightBits::Seven => return Err(ConvertError::NoCodes),
        _ => {}
    }
    // Classes are no names of features.
    if !options.labels.is_empty() && trained.as_ref().is_none_or(|trained| trained.whole) {
        graph.labels = options.labels.clone();
    }
    let half = options.precision == Precision::F16;
    let profile = targets::profile(options.target);
    let (packer, table) = (profile.packer, cost::table(profile.name));
    let by_steps = !graph.states.is_empty();
    if let Some(stream) = &options.stream {
        graph = stream::time::by_frames(&graph, stream).map_err(ConvertError::Stream)?;
    }
    let at_a_time = packer.rows_at_a_time();
    let plan = |scratch: usize, rooms: &Rooms| {
        let mut graph = graph.clone();
        let choices = Choices {
            half_weights: half,
            running_sums: options.stream.is_none() && !by_steps,
            packer,
            target: options.target,
            rooms,
        };
        let chooser = Chooser { kernels: profile.library, table, others: profile.others, scratch };
        let lowered = lower_cheapest(&mut graph, &choices, &chooser).map_err(ConvertError::NoKernel)?;
        let planned = match &options.stream {
            Some(stream) => plan_stream(&mut graph, lowered, stream)?,
            None if by_steps => plan_steps(&mut graph, lowered)?,
            None => {
                let costs = |lowered: &Lowered| StepCosts::of(&graph, lowered, profile.library, table);
                plan_memory(&graph, lowered, options.rows, goal, at_a_time, &costs)
            }
        };
        Ok((graph, planned))
    };
    let by_goal = |rooms: &Rooms| match goal {
        Goal::Within(limit) => plan_within(limit, |scratch| plan(scratch, rooms)),
        Goal::Memory | Goal::Speed => plan(usize::MAX, rooms),
    };
    let planned = plan_sparse(&by_goal, options.sparse, goal).map_err(|error| match (error, options.goal) {
        (ConvertError::Memory { needed, limit: left }, Goal::Within(limit)) => {
            ConvertError::Memory { needed: needed + (limit - left), limit }
        }
        (error, _) => error,
    });
    let (graph, planned) = planned?;
    let Planned { lowered, regions, schedule, arena_whole, .. } = planned;
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
    Ok(Converted {
        plan,
        graph,
        steps,
        regions,
        schedule,
        arena_whole,
        passes,
        pruned,
        trained,
        quantization,
    })
}

/// Steps in the views of their regions, with addresses.
struct Planned {
    lowered: Lowered,
    regions: Vec<Region>,
    schedule: Schedule,
    arena_whole: usize,
    /// By the target's table, where plans were compared by it; else 0.
    cost: u64,
}

impl Planned {
    /// Gives addresses to steps whose views are those of their regions already.
    fn new(graph: &Graph, lowered: Lowered, regions: Vec<Region>) -> Self {
        let schedule = schedule(graph, &lowered, &regions);
        let arena_whole = schedule.arena;
        Self { lowered, regions, schedule, arena_whole, cost: 0 }
    }

    /// Bytes that it works in.
    fn memory(&self) -> usize {
        self.schedule.arena + self.schedule.state_bytes
    }

    /// Outputs of the sparse steps whose scratch makes the arena larger than `limit`: it lies beyond, or all that is
    /// alive beside it leaves no room for it. If there is none, the sparse steps that run while anything lies beyond.
    fn sparse_beyond(&self, limit: usize) -> Vec<TensorId> {
        let lives = &self.schedule.lives;
        let steps = self.lowered.steps.iter().enumerate().filter(|(_, step)| step.is_sparse());
        let at = |step: usize| lives.iter().filter(move |life| (life.first..=life.last).contains(&step));
        let beyond = |life: &Life| life.offset + life.bytes > limit;
        let to_blame = steps.clone().filter(|(index, _)| {
            let alive: usize = at(*index).map(|life| life.bytes.next_multiple_of(ALIGN)).sum();
            alive > limit || at(*index).any(|life| life.scratch && beyond(life))
        });
        let outputs: Vec<TensorId> = to_blame.map(|(_, step)| step.output.tensor).collect();
        if !outputs.is_empty() {
            return outputs;
        }
        steps.filter(|(index, _)| at(*index).any(beyond)).map(|(_, step)| step.output.tensor).collect()
    }

    /// Rewrites the views first.
    fn applied(graph: &Graph, mut lowered: Lowered, regions: Vec<Region>) -> Self {
        stream::apply(graph, &mut lowered, &regions);
        Self::new(graph, lowered, regions)
    }
}

/// A graph, rewritten for its plan, and the plan.
type Planning = Result<(Graph, Planned), ConvertError>;

/// Plans that are tried before a network whose sparse layers take too much memory becomes dense.
const TRIES: usize = 8;

/// The plan with sparse layers where they cost less. On [`Sparsity::Auto`] within the arena of the dense network: layers
/// that are in the way get shorter strips, then dense kernels. Where the goal names a limit, that one counts instead, and
/// all layers give way at once; where it is speed, none does.
fn plan_sparse(plan: &dyn Fn(&Rooms) -> Planning, sparsity: Sparsity, goal: Goal) -> Planning {
    let off = Rooms::all(Room::None);
    if sparsity == Sparsity::Off {
        return plan(&off);
    }
    if let Goal::Within(_) = goal {
        for room in [Room::Ample, Room::Scarce] {
            match plan(&Rooms::all(room)) {
                Err(ConvertError::Memory { .. }) => {}
                planned => return planned,
            }
        }
        return plan(&off);
    }
    let mut rooms = Rooms::all(Room::Ample);
    let mut best = plan(&rooms)?;
    let any = best.1.lowered.steps.iter().any(Step::is_sparse);
    if sparsity == Sparsity::Fast || goal == Goal::Speed || !any {
        return Ok(best);
    }
    let dense = plan(&off)?;
    let limit = dense.1.schedule.arena;
    for _ in 0..TRIES {
        if best.1.schedule.arena <= limit {
            return Ok(best);
        }
        for output in best.1.sparse_beyond(limit) {
            rooms.tighten(output);
        }
        best = plan(&rooms)?;
    }
    Ok(if best.1.schedule.arena <= limit { best } else { dense })
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

/// The cheapest plan that works in at most `limit` bytes, of those that `plan` makes where kernels have much scratch, some,
/// or the least: what a fast kernel takes for itself may be what rows would have needed. Of equal ones the first.
fn plan_within(limit: usize, plan: impl Fn(usize) -> Planning) -> Planning {
    let plans = [usize::MAX, limit / 4, 0].into_iter().map(plan).collect::<Result<Vec<_>, _>>()?;
    let needed = plans.iter().map(|(_, planned)| planned.memory()).min().unwrap_or_default();
    let fitting = plans.into_iter().filter(|(_, planned)| planned.memory() <= limit);
    fitting.min_by_key(|(_, planned)| planned.cost).ok_or(ConvertError::Memory { needed, limit })
}

/// The plan with the least arena, or the cheapest within a limit: whole tensors, or regions over rows; the graph's order
/// of steps, or a better one. Of equal ones the first. With the least arena, then as many rows at a time as the target
/// likes (`at_a_time`), for a sixth of it at the most.
fn plan_memory(
    graph: &Graph,
    lowered: Lowered,
    rows: Rows,
    goal: Goal,
    at_a_time: usize,
    costs: &dyn Fn(&Lowered) -> StepCosts,
) -> Planned {
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
    let limit = match goal {
        Goal::Memory => 0,
        Goal::Speed => usize::MAX,
        Goal::Within(limit) => limit,
    };
    if rows == Rows::Off || whole.schedule.arena <= limit {
        let cost = costs(&orders[0]).whole.iter().sum();
        return Planned { cost, ..whole };
    }
    let arena_whole = whole.arena_whole;
    let within = orders.iter().filter_map(|lowered| cheapest_within(graph, lowered, &costs(lowered), limit));
    if let Some(cheapest) = within.min_by_key(|planned| planned.cost) {
        return Planned { arena_whole, ..cheapest };
    }
    let mut by_rows = least(&|lowered| stream::choose(&Network::new(graph, lowered), &costs(lowered)));
    if at_a_time > 1 {
        let several = least(&|lowered| {
            let network = Network::new(graph, lowered);
            stream::several(&network, &stream::choose(&network, &costs(lowered)), at_a_time)
        });
        if several.schedule.arena <= by_rows.schedule.arena / 6 * 7 {
            by_rows = several;
        }
    }
    if by_rows.schedule.arena < arena_whole { Planned { arena_whole, ..by_rows } } else { whole }
}

/// The cheapest plan whose arena is at most `limit`. Peaks are sums of what is alive, and addresses may need
/// more: then the next lower peak is tried.
fn cheapest_within(graph: &Graph, lowered: &Lowered, costs: &StepCosts, limit: usize) -> Option<Planned> {
    let mut peak = limit;
    while peak > 0 {
        let cut = stream::cheapest(&Network::new(graph, lowered), costs, peak)?;
        let planned = Planned::applied(graph, lowered.clone(), cut.regions);
        if planned.schedule.arena <= limit {
            return Some(Planned { cost: cut.cost, ..planned });
        }
        peak = cut.peak.saturating_sub(1);
    }
    None
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
