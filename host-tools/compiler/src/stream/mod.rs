//! Networks cut into regions: which steps run tick by tick, and how much of each tensor is kept meanwhile.
//!
//! A lowered step sees its tensors as rows and reads them through windows, so the same step can make its output at
//! once (a plain region) or row by row (a region over rows), with rings instead of tensors in between. Nothing is
//! computed twice, and no kernel knows the difference. The steps of each family:
//!
//! * [`network`]: who makes and who reads each tensor.
//! * [`window`]: when a step is due and how much must be kept for it, over any axis.
//! * [`rows`]: whether a run of steps can go row by row.
//! * [`choose`]: where regions over rows begin and end, by peak memory.
//! * [`time`]: a network over clips as a network over frames, or the reasons why it is none.
//! * [`endless`]: such a network as one region without end.
//! * [`steps`]: a network with states of its own, step by step.
//! * [`apply`]: rewrites the views of the steps to what was chosen.
//! * [`apart`]: rings over time without their newest slice.

mod apart;
mod apply;
mod choose;
mod endless;
mod network;
mod rows;
mod steps;
#[cfg(test)]
mod tests;
pub mod time;
mod window;

pub use apart::apart;
pub use apply::apply;
pub use choose::{Cheapest, cheapest, choose, plain, several};
pub use endless::{endless, settle_period};
pub use network::Network;
pub use steps::{name_outputs, runs, stepwise};

use crate::graph::TensorId;
use crate::lower::Lowered;
use mote_runtime::plan::RegionKind;
use std::collections::BTreeMap;
use std::ops::Range;

/// Whether regions over rows are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// Where they lower the peak of memory.
    #[default]
    Auto,
    Off,
}

/// Consecutive steps that run tick by tick.
#[derive(Clone, Debug)]
pub struct Region {
    pub kind: RegionKind,
    pub steps: Range<usize>,
    /// The network's input that is delivered slice by slice.
    pub port: Option<TensorId>,
    /// Ticks of one run, the flush included; 0 if endless.
    pub ticks: usize,
    /// Endless: after so many ticks all ring positions and phases repeat.
    pub period: usize,
    /// Of each step.
    pub rates: Vec<Rate>,
    /// Every tensor that is made or delivered slice by slice.
    pub rings: BTreeMap<TensorId, Ring>,
}

/// When the slices of a tensor are made: slice `i` at tick `phase + i / burst * every`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub every: usize,
    pub phase: usize,
    /// Slices made at a time.
    pub burst: usize,
}

impl Rate {
    /// One slice at every tick.
    pub const EACH: Self = Self { every: 1, phase: 0, burst: 1 };
}

/// How much of a tensor is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ring {
    /// Slices kept at a time; all of them if the tensor is needed behind the region.
    pub slots: usize,
    pub slice_bytes: usize,
    /// Read only in the tick in which it is made: its memory is free at other times.
    pub temporary: bool,
    /// The step that reads it works in place: its memory is that of the step's output.
    pub shared: bool,
}

impl Ring {
    pub fn bytes(&self) -> usize {
        self.slots * self.slice_bytes
    }
}

impl Region {
    /// When slices of a tensor are made; those of the input, which no step makes, come with every tick.
    fn rate(&self, lowered: &Lowered, id: TensorId) -> Rate {
        lowered.made(id).map_or(Rate::EACH, |made| self.rates[made - self.steps.start])
    }

    /// Steps that make their whole outputs one after the other.
    pub fn plain(steps: Range<usize>) -> Self {
        let rates = vec![Rate::EACH; steps.len()];
        Self {
            kind: RegionKind::Plain,
            steps,
            port: None,
            ticks: 1,
            period: 0,
            rates,
            rings: BTreeMap::new(),
        }
    }
}
