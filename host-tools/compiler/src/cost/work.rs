//! What of a step its cost depends on.

use crate::graph::Graph;
use crate::lower::Step;
use crate::targets::library;
use mote_runtime::Plan;
use mote_runtime::kernels::{Library, portable::id};
use mote_runtime::plan::{DType, NONE, OperandRecord, RegionKind, StepRecord};
use serde::{Deserialize, Serialize};

/// Kernel name under which tables keep what the engine needs beside the kernels. Its work counts inferences (or frames)
/// as calls, ticks as rows, and steps that were looked at as positions.
pub const ENGINE: &str = "engine";

/// Work of one step in one inference; of a step of a stream, in one frame in which it is due.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Work {
    /// Name of the kernel.
    pub kernel: &'static str,
    /// Times that the kernel is called: once, or once a row where the step runs row by row.
    pub calls: f64,
    /// Output rows in all.
    pub rows: f64,
    /// Positions of an output row, of `channels` elements each.
    pub columns: f64,
    pub channels: f64,
    /// Elements of all operands that are no constants, each counted once.
    pub inputs: f64,
    /// Rows of the first operand's window, over slices and rows.
    pub window_rows: f64,
    /// Multiplications.
    pub macs: f64,
    /// Output positions whose window meets padding.
    pub padded: f64,
    /// Which of its loops a kernel takes, or of its functions, where it has several that differ in cost; else 0.
    pub function: u32,
    /// Of a stream: the step is due every so many frames; else 1.
    pub every: f64,
}

/// What a cost may be proportional to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Feature {
    /// Calls of the kernel.
    Calls,
    /// Output rows.
    Rows,
    /// Output positions: rows times columns.
    Positions,
    /// Output elements: positions times channels.
    Outputs,
    /// Input elements.
    Inputs,
    Macs,
    /// Elements of all windows that dense layers put together: multiplications over channels.
    Gathered,
    /// Pairs of neighbouring positions; the last one of a row may be alone.
    Pairs,
    /// Groups of four channels at each position.
    Quads,
    /// Groups of four channels in each row.
    Strips,
    /// Groups of four channels at each pair of positions.
    Blocks,
    /// Multiplications of whole blocks: eight outputs each.
    BlockMacs,
    /// Groups of sixteen channels at each position.
    Lanes,
    /// Groups of sixteen channels in each row.
    LaneStrips,
    /// Groups of sixteen multiplications of each output.
    LaneMacs,
    /// Rows of all windows.
    WindowRows,
    /// As gathered elements, but four at a time in each row of a window.
    GatheredQuads,
    /// Block multiplications where each row of a window takes whole groups of four inputs.
    BlockQuadMacs,
    /// Groups of sixteen multiplications in each row of a window, of each output.
    LaneRowMacs,
    /// Groups of eight channels at each position, and their multiplications.
    Octets,
    OctetMacs,
    /// Pairs of neighbouring positions without the last one of a row of odd length; with groups of four channels; and with
    /// groups of four inputs in each row of a window.
    WholePairs,
    WholeBlocks,
    WholeBlockQuadMacs,
    /// The last positions of rows of odd length, likewise.
    Singles,
    SingleBlocks,
    SingleBlockQuadMacs,
    /// Groups of four positions, with groups of eight channels, and their multiplications.
    Tiles,
    TileMacs,
    /// Positions that meet padding; with the rows of their windows, the elements that are put together for them, groups of
    /// four channels, and multiplications.
    Padded,
    PaddedRows,
    PaddedGathered,
    PaddedBlocks,
    PaddedMacs,
    /// Positions whose channels are not whole groups of four, and their multiplications of the last group.
    Parts,
    PartMacs,
    /// Rows of all windows, with their channels: what is done once for each row of each channel.
    WindowChannels,
}

impl Feature {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Calls,
        Self::Rows,
        Self::Positions,
        Self::Outputs,
        Self::Inputs,
        Self::Macs,
        Self::Gathered,
        Self::Pairs,
        Self::Quads,
        Self::Strips,
        Self::Blocks,
        Self::BlockMacs,
        Self::Lanes,
        Self::LaneStrips,
        Self::LaneMacs,
        Self::WindowRows,
        Self::GatheredQuads,
        Self::BlockQuadMacs,
        Self::LaneRowMacs,
        Self::Octets,
        Self::OctetMacs,
        Self::WholePairs,
        Self::WholeBlocks,
        Self::WholeBlockQuadMacs,
        Self::Singles,
        Self::SingleBlocks,
        Self::SingleBlockQuadMacs,
        Self::Tiles,
        Self::TileMacs,
        Self::Padded,
        Self::PaddedRows,
        Self::PaddedGathered,
        Self::PaddedBlocks,
        Self::PaddedMacs,
        Self::Parts,
        Self::PartMacs,
        Self::WindowChannels,
    ];

    /// Its value for some work.
    pub fn of(self, work: &Work) -> f64 {
        let groups = |of: f64| (work.channels / of).ceil();
        let positions = work.rows * work.columns;
        let outputs = positions * work.channels;
        let window = work.macs / outputs.max(1.0);
        let pairs = work.rows * (work.columns / 2.0).ceil();
        // A row of the window, in groups of four elements, of which half ones count as such, and of sixteen.
        let row = window / work.window_rows.max(1.0);
        let quads = (row / 4.0).floor() + (row % 4.0 / 2.0).ceil() / 2.0;
        let lanes = (row / 16.0).ceil();
        let whole = work.rows * (work.columns / 2.0).floor();
        let singles = pairs - whole;
        let tiles = work.rows * (work.columns / 4.0).ceil() * groups(8.0);
        let parts = if work.channels % 4.0 == 0.0 { 0.0 } else { positions };
        match self {
            Self::Calls => work.calls,
            Self::Rows => work.rows,
            Self::Positions => positions,
            Self::Outputs => outputs,
            Self::Inputs => work.inputs,
            Self::Macs => work.macs,
            Self::Gathered => work.macs / work.channels.max(1.0),
            Self::Pairs => pairs,
            Self::Quads => positions * groups(4.0),
            Self::Strips => work.rows * groups(4.0),
            Self::Blocks => pairs * groups(4.0),
            Self::BlockMacs => pairs * groups(4.0) * 8.0 * window,
            Self::Lanes => positions * groups(16.0),
            Self::LaneStrips => work.rows * groups(16.0),
            Self::LaneMacs => outputs * (window / 16.0).ceil(),
            Self::WindowRows => work.rows * work.window_rows,
            Self::GatheredQuads => positions * work.window_rows * quads,
            Self::BlockQuadMacs => pairs * groups(4.0) * work.window_rows * quads,
            Self::LaneRowMacs => outputs * work.window_rows * lanes,
            Self::Octets => positions * groups(8.0),
            Self::OctetMacs => positions * groups(8.0) * window,
            Self::WholePairs => whole,
            Self::WholeBlocks => whole * groups(4.0),
            Self::WholeBlockQuadMacs => whole * groups(4.0) * work.window_rows * quads,
            Self::Singles => singles,
            Self::SingleBlocks => singles * groups(4.0),
            Self::SingleBlockQuadMacs => singles * groups(4.0) * work.window_rows * quads,
            Self::Tiles => tiles,
            Self::TileMacs => tiles * window,
            Self::Padded => work.padded,
            Self::PaddedRows => work.padded * work.window_rows,
            Self::PaddedGathered => work.padded * window,
            Self::PaddedBlocks => work.padded * groups(4.0),
            Self::PaddedMacs => work.padded * work.channels * window,
            Self::Parts => parts,
            Self::PartMacs => parts * window,
            Self::WindowChannels => work.rows * work.window_rows * work.channels,
        }
    }
}

impl Work {
    /// Work of a lowered step that runs at once, or else row by row: of the step as it is before regions rewrite it.
    pub fn of_step(graph: &Graph, kernels: &Library, step: &Step, by_rows: bool) -> Self {
        let view = &step.output.view;
        let output = graph.tensor(step.output.tensor);
        let inputs = step.inputs.iter().filter(|operand| !graph.tensor(operand.tensor).is_constant());
        let inputs = inputs.map(|operand| {
            let slices = endless_as_one(operand.view.slices);
            elements(&operand.view, graph.tensor(operand.tensor).dtype.size()) * slices
        });
        let rows = f64::from(view.rows) * endless_as_one(view.slices);
        let shaped = Self::shaped(view, rows, output.shape.last().copied().unwrap_or(1), output.dtype.size());
        let macs = step.macs as f64;
        let first = step.inputs.first().map(|operand| {
            let tensor = graph.tensor(operand.tensor);
            let channels = tensor.shape.last().copied().unwrap_or(1);
            let rows = f64::from(operand.view.rows) * endless_as_one(operand.view.slices);
            let shaped = Self::shaped(&operand.view, rows, channels, tensor.dtype.size());
            Source::new(&shaped, &operand.view, operand.view.slices == u32::MAX)
        });
        let first = first.unwrap_or_default();
        // At once, rows of independent positions are one long row.
        let joined = Self { rows: 1.0, columns: rows * shaped.columns, ..shaped };
        Self {
            kernel: name(kernels, step.packed.kernel),
            calls: if by_rows { rows } else { 1.0 },
            inputs: inputs.sum(),
            window_rows: first.window_rows,
            macs,
            padded: first.padded(&shaped, macs),
            function: function(
                kernels,
                step.packed.kernel,
                &step.packed.args,
                &first,
                &Self { macs, ..shaped },
            ),
            every: 1.0,
            ..if step.joinable && !by_rows { joined } else { shaped }
        }
    }

    /// Work of each step of a plan, and behind them the engine's own.
    pub fn of_plan(plan: &Plan<'_>) -> Vec<Self> {
        let kernels = library(plan);
        let mut works = Vec::new();
        let mut engine = Self { kernel: ENGINE, calls: 1.0, columns: 0.0, channels: 1.0, ..Self::nothing() };
        let mut checks = 0.0;
        for region in (0..plan.regions()).filter_map(|index| plan.region(index)) {
            let kind = RegionKind::from_code(region.kind).unwrap_or(RegionKind::Plain);
            let ticks = if kind == RegionKind::Rows { f64::from(region.ticks) } else { 1.0 };
            engine.rows += ticks;
            checks += ticks * f64::from(region.steps);
            for index in region.step_range() {
                works.extend(
                    plan.step(index).and_then(|step| Self::of_record(plan, kernels, index, &step, kind)),
                );
            }
        }
        engine.columns = checks / engine.rows.max(1.0);
        works.push(engine);
        works
    }

    fn of_record(
        plan: &Plan<'_>,
        kernels: &Library,
        index: usize,
        step: &StepRecord,
        kind: RegionKind,
    ) -> Option<Self> {
        let view = plan.step_output(step)?;
        let output = plan.tensor(view.tensor.into())?;
        let channels = *output.shape.get(usize::from(output.rank).checked_sub(1)?)? as usize;
        // Of an endless region, what one frame brings.
        let slices = |view: &OperandRecord| {
            if kind == RegionKind::Endless { 1.0 } else { endless_as_one(view.slices) }
        };
        let size = |code| DType::from_code(code).map_or(1, DType::size);
        let mut inputs = 0.0;
        for operand in (0..step.inputs.into()).filter_map(|k| plan.step_operand(step, k)) {
            let tensor = plan.tensor(operand.tensor.into())?;
            if tensor.space != mote_runtime::plan::Space::Constant as u8 {
                let window = if kind == RegionKind::Endless {
                    f64::from(operand.outer_count)
                } else {
                    slices(&operand)
                };
                inputs += elements(&operand, size(tensor.dtype)) * window;
            }
        }
        let rows = f64::from(view.rows) * slices(&view);
        let shaped = Self::shaped(&view, rows, channels, size(output.dtype));
        let macs = plan.step_macs(index) as f64;
        let first = plan.step_operand(step, 0).and_then(|operand| {
            let tensor = plan.tensor(operand.tensor.into())?;
            let channels = *tensor.shape.get(usize::from(tensor.rank).checked_sub(1)?)? as usize;
            let rows = f64::from(operand.rows) * slices(&operand);
            let shaped = Self::shaped(&operand, rows, channels, size(tensor.dtype));
            Some(Source::new(&shaped, &operand, kind == RegionKind::Endless))
        });
        let first = first.unwrap_or_default();
        let id = plan.kernel(step.kernel.into()).unwrap_or(NONE);
        Some(Self {
            kernel: name(kernels, id),
            calls: if kind == RegionKind::Rows { slices(&view) } else { 1.0 },
            inputs,
            window_rows: first.window_rows,
            macs,
            padded: first.padded(&shaped, macs),
            function: function(kernels, id, plan.args(step), &first, &Self { macs, ..shaped }),
            // In rows, how often a step is due is in its calls already.
            every: if kind == RegionKind::Endless { f64::from(step.every.max(1)) } else { 1.0 },
            ..shaped
        })
    }

    /// Rows, columns and channels of an output whose last axis has `channels` elements of `size` bytes.
    fn shaped(view: &OperandRecord, rows: f64, channels: usize, size: usize) -> Self {
        let row = f64::from(view.row_bytes) / size.max(1) as f64;
        // Rows that are pieces of the last axis are positions of their own.
        let channels = (channels as f64).clamp(1.0, row.max(1.0));
        Self { rows, columns: row / channels, channels, ..Self::nothing() }
    }

    pub(super) fn nothing() -> Self {
        Self {
            kernel: "",
            calls: 0.0,
            rows: 0.0,
            columns: 0.0,
            channels: 0.0,
            inputs: 0.0,
            window_rows: 1.0,
            macs: 0.0,
            padded: 0.0,
            function: 0,
            every: 1.0,
        }
    }
}

fn name(kernels: &Library, id: u16) -> &'static str {
    kernels.find(id).map_or("", |entry| entry.name)
}

/// Rows that the window of an operand has.
fn window_rows(view: &OperandRecord) -> f64 {
    f64::from(view.outer_count.max(1)) * f64::from(view.inner_count.max(1))
}

/// The first operand of a step.
#[derive(Clone, Copy, Debug)]
struct Source {
    rows: f64,
    columns: f64,
    channels: f64,
    window_rows: f64,
    /// Rows of the window on the axis of `rows`: of a stream, without those of earlier frames.
    along: f64,
}

impl Default for Source {
    fn default() -> Self {
        Self::of(&Work { rows: 1.0, columns: 1.0, channels: 1.0, ..Work::nothing() })
    }
}

impl Source {
    fn of(shaped: &Work) -> Self {
        let Work { rows, columns, channels, window_rows, .. } = *shaped;
        Self { rows, columns, channels, window_rows, along: window_rows }
    }

    fn new(shaped: &Work, view: &OperandRecord, endless: bool) -> Self {
        let window_rows = window_rows(view);
        let along = if endless { f64::from(view.inner_count.max(1)) } else { window_rows };
        Self { window_rows, along, ..Self::of(shaped) }
    }

    /// Positions of an output whose windows meet padding. Steps tell neither padding nor strides, but the sizes on both
    /// sides do, in the middle: outputs that reach further than the input read padding.
    fn padded(&self, output: &Work, macs: f64) -> f64 {
        let window = macs / (output.rows * output.columns * output.channels).max(1.0);
        // Depthwise layers multiply each tap once, others all channels of it.
        let row = window / self.window_rows.max(1.0);
        let width =
            if output.channels == self.channels && row < self.channels { row } else { row / self.channels };
        let beside = |outputs: f64, inputs: f64, window: f64| {
            let stride = (inputs / outputs.max(1.0)).round().max(1.0);
            let padding = ((outputs - 1.0) * stride + window - inputs).max(0.0);
            let sides = [(padding / 2.0).floor(), (padding / 2.0).ceil()];
            sides.into_iter().map(|side| (side / stride).ceil()).sum::<f64>().min(outputs)
        };
        let columns = beside(output.columns, self.columns, width);
        let rows = beside(output.rows, self.rows, self.along);
        output.rows * output.columns - (output.rows - rows) * (output.columns - columns)
    }
}

/// [`Work::function`]: float functions of one or two operands are one kernel each, and have their number first; kernels
/// that take other loops where sizes are no multiples of what these hold.
fn function(kernels: &Library, kernel: u16, args: &[u8], first: &Source, output: &Work) -> u32 {
    let window = output.macs / (output.rows * output.columns * output.channels).max(1.0);
    let other = |whole: bool| if whole { 1 } else { 2 };
    match (kernel, args.first_chunk()) {
        (id::UNARY_F32 | id::BINARY_F32, Some(number)) => u32::from_le_bytes(*number),
        _ => match name(kernels, kernel) {
            name if name.starts_with("conv_s8_dsp") => other(output.channels % 4.0 == 0.0),
            name if name.starts_with("conv_s8_mve") => {
                other(window == first.channels && first.channels % 16.0 == 0.0)
            }
            // Windows one column wide.
            name if name.starts_with("depthwise_s8") => other(window <= first.window_rows),
            name if name.starts_with("fully_connected_s8_dsp") => {
                other(window % 4.0 == 0.0 && first.window_rows == 1.0)
            }
            _ => 0,
        },
    }
}

/// Elements of a slice.
fn elements(view: &OperandRecord, size: usize) -> f64 {
    (view.slice_bytes() / size.max(1)) as f64
}

fn endless_as_one(slices: u32) -> f64 {
    if slices == u32::MAX { 1.0 } else { f64::from(slices) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_round_up_to_what_kernels_take_at_once() {
        let work = Work {
            calls: 3.0,
            rows: 3.0,
            columns: 5.0,
            channels: 6.0,
            inputs: 45.0,
            macs: 3.0 * 5.0 * 6.0 * 20.0,
            ..Work::nothing()
        };
        let of = |feature: Feature| feature.of(&work);
        assert_eq!(
            (of(Feature::Positions), of(Feature::Outputs), of(Feature::Gathered)),
            (15.0, 90.0, 300.0)
        );
        assert_eq!((of(Feature::Pairs), of(Feature::Quads), of(Feature::Blocks)), (9.0, 30.0, 18.0));
        assert_eq!((of(Feature::BlockMacs), of(Feature::LaneMacs)), (18.0 * 8.0 * 20.0, 180.0));
        assert_eq!((of(Feature::WholePairs), of(Feature::Singles)), (6.0, 3.0));
        // Rows of 20 / 2 = 10 elements are two groups of four and a half one.
        let by_rows = Work { window_rows: 2.0, ..work };
        assert_eq!(Feature::BlockQuadMacs.of(&by_rows), 18.0 * 2.0 * 2.5);
    }
    #[test]
    fn padding_is_found_from_sizes() {
        // 3x3 windows over 8x8 positions: the border, which is 64 - 36; then every second position of 8x8.
        let input = Source { rows: 8.0, columns: 8.0, channels: 4.0, window_rows: 3.0, along: 3.0 };
        let output = |size: f64| Work { rows: size, columns: size, channels: 4.0, ..Work::nothing() };
        assert_eq!(input.padded(&output(8.0), 64.0 * 4.0 * 36.0), 28.0);
        assert_eq!(input.padded(&output(4.0), 16.0 * 4.0 * 36.0), 7.0);
        assert_eq!(input.padded(&output(6.0), 36.0 * 4.0 * 36.0), 0.0);
        // Depthwise, and of a stream, whose window of frames meets none.
        assert_eq!(input.padded(&output(8.0), 64.0 * 4.0 * 9.0), 28.0);
        let frame = Source { rows: 1.0, columns: 1.0, along: 1.0, ..input };
        let one = Work { rows: 1.0, columns: 1.0, channels: 4.0, ..Work::nothing() };
        assert_eq!(frame.padded(&one, 4.0 * 12.0), 0.0);
    }
}
