//! The engine: walks a plan's regions tick by tick and hands each due step to its kernel.
//!
//! Takes no decision about numbers: kernels, addresses and schedule stand in the plan.

pub(crate) mod call;
mod error;
mod view;
mod walk;

pub use call::{Call, Given, KernelFn, Mismatch, Output, Rows, Source};
pub use error::Error;
pub use view::{Format, TensorMut, TensorView};

use core::ops::Range;

use crate::kernels::StepView;
use crate::plan::{ALIGN, Fault, Plan, PortRecord, RegionKind, RegionRecord};

/// Ticks after which the counter of a stream goes back.
const TURN: u32 = 1 << 30;

/// Watches steps as they run: for profiles, and for comparing intermediate tensors.
pub trait Observer {
    /// Before step `step` computes output slices.
    fn before(&mut self, step: usize) {
        let _ = step;
    }

    /// After it made the given slices of its output; `output` is all memory of the tensor written (a ring holds its last
    /// slices).
    fn after(&mut self, step: usize, slices: Range<usize>, output: &[u8]) {
        let _ = (step, slices, output);
    }
}

/// Watches nothing, costs nothing.
impl Observer for () {}

/// What a pushed row or frame led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Progress {
    /// The outputs hold a new result.
    Ready,
    /// More slices are needed before the next result.
    Pending { frames_left: u32 },
}

/// A plan bound to kernels and memory.
pub struct Engine<'a> {
    plan: &'a Plan<'a>,
    kernels: &'a [KernelFn],
    arena: &'a mut [u8],
    state: &'a mut [u8],
    /// Slices that the driven region has taken since its start.
    tick: u32,
}

impl<'a> Engine<'a> {
    /// Binds a plan whose kernel arguments were checked while compiling ([`include_plan!`](crate::include_plan)),
    /// or by [`Library::check_plan`](crate::kernels::Library::check_plan). Arena and state must be at least
    /// [`Plan::arena_bytes`] and [`Plan::state_bytes`] long and, like the plan, 16-byte aligned. Resets the state.
    pub fn new(
        plan: &'a Plan<'a>,
        kernels: &'a [KernelFn],
        arena: &'a mut [u8],
        state: &'a mut [u8],
    ) -> Result<Self, Error> {
        let needed = plan.arena_bytes();
        let given = arena.len();
        let arena = arena.get_mut(..needed).ok_or(Error::Arena { needed, given })?;
        let needed = plan.state_bytes();
        let given = state.len();
        let state = state.get_mut(..needed).ok_or(Error::State { needed, given })?;
        let aligned = |bytes: &[u8]| bytes.is_empty() || bytes.as_ptr().addr().is_multiple_of(ALIGN);
        if !aligned(plan.bytes()) || !aligned(arena) || !aligned(state) {
            return Err(Error::Misaligned);
        }
        if kernels.len() < plan.kernels() {
            return Err(Error::MissingKernel { id: plan.kernel(kernels.len()).unwrap_or(0) });
        }
        let mut engine = Self { plan, kernels, arena, state, tick: 0 };
        engine.reset();
        Ok(engine)
    }

    /// The plan that this engine walks.
    pub fn plan(&self) -> &'a Plan<'a> {
        self.plan
    }

    /// Forgets everything seen so far: streams start anew.
    pub fn reset(&mut self) {
        self.tick = 0;
        self.state.fill(0);
        for fill in (0..).map_while(|i| self.plan.fill(i)) {
            let (start, bytes) = (fill.offset as usize, fill.bytes as usize);
            let end = start + fill.count as usize * bytes;
            let Some(target) = self.state.get_mut(start..end) else { continue };
            let value = fill.value.to_le_bytes();
            for element in target.chunks_exact_mut(bytes.max(1)) {
                element.iter_mut().zip(value).for_each(|(to, from)| *to = from);
            }
        }
    }

    /// Number of inputs.
    pub fn inputs(&self) -> usize {
        (0..).map_while(|i| self.plan.port_of(0, i)).count()
    }

    /// Number of outputs.
    pub fn outputs(&self) -> usize {
        (0..).map_while(|i| self.plan.port_of(1, i)).count()
    }

    /// Input `index`, to be written before [`Engine::run`]. An input of which only some rows are kept at a time has no
    /// place to be written to ([`Error::Drive`]): use [`Engine::run_on`], [`Engine::push`] or [`Engine::step`].
    pub fn input(&mut self, index: usize) -> Result<TensorMut<'_>, Error> {
        let port = self.port(0, index)?;
        view::writable(self.plan, &port, self.arena, self.state).ok_or(Error::Drive)
    }

    /// What input `index` consists of.
    pub fn input_format(&self, index: usize) -> Result<Format, Error> {
        view::format(self.plan, &self.port(0, index)?).ok_or(Error::Port { index })
    }

    /// Output `index`, valid after a run, or when a push or step was [`Progress::Ready`].
    pub fn output(&self, index: usize) -> Result<TensorView<'_>, Error> {
        let port = self.port(1, index)?;
        view::readable(self.plan, &port, self.arena, self.state).ok_or(Error::Port { index })
    }

    /// Computes the outputs from the inputs written before. Not for endless plans.
    ///
    /// Inputs share memory with what is computed later: write them again before each run.
    pub fn run(&mut self) -> Result<(), Error> {
        self.run_observed(&mut ())
    }

    /// [`Engine::run`], watched.
    pub fn run_observed(&mut self, observer: &mut impl Observer) -> Result<(), Error> {
        self.regions_from(0, observer)
    }

    /// Computes the outputs from whole inputs, in their order: bytes as the plan has them. Where the first region takes
    /// its input row by row, it is read from `inputs` row by row and needs no memory in the arena.
    pub fn run_on(&mut self, inputs: &[&[u8]]) -> Result<(), Error> {
        self.run_on_observed(inputs, &mut ())
    }

    /// [`Engine::run_on`], watched.
    pub fn run_on_observed(&mut self, inputs: &[&[u8]], observer: &mut impl Observer) -> Result<(), Error> {
        let driven = self.driven(RegionKind::Rows).ok().filter(|region| !self.port_is_whole(region));
        let mut rows = None;
        for (index, bytes) in inputs.iter().enumerate() {
            let format = self.input_format(index)?;
            let (needed, given) = (format.bytes(), bytes.len());
            if needed != given {
                return Err(Error::Length { needed, given });
            }
            let port = self.plan.port_of(0, index);
            if driven.is_some_and(|region| Some(usize::from(region.port)) == port) {
                rows = Some(bytes.chunks_exact(format.slice_bytes().max(1)));
            } else {
                self.input(index)?.copy_from(bytes)?;
            }
        }
        let Some(rows) = rows else { return self.run_observed(observer) };
        self.tick = 0;
        for row in rows {
            self.push_observed(row, observer)?;
        }
        Ok(())
    }

    /// Delivers the next row of input 0 to a plan whose first region runs over rows; after the last one the rest
    /// of the network runs. `row` holds the row's bytes as the plan has them.
    pub fn push(&mut self, row: &[u8]) -> Result<Progress, Error> {
        self.push_observed(row, &mut ())
    }

    /// [`Engine::push`], watched.
    pub fn push_observed(&mut self, row: &[u8], observer: &mut impl Observer) -> Result<Progress, Error> {
        let region = self.driven(RegionKind::Rows)?;
        let rows = self.deliver(&region, row)?;
        self.tick_steps(&region, self.tick, observer)?;
        self.tick += 1;
        if self.tick < rows {
            return Ok(Progress::Pending { frames_left: rows - self.tick });
        }
        for tick in self.tick..region.ticks {
            self.tick_steps(&region, tick, observer)?;
        }
        self.tick = 0;
        self.regions_from(1, observer)?;
        Ok(Progress::Ready)
    }

    /// Delivers the next frame of input 0 to an endless plan. `frame` holds its bytes as the plan has them.
    pub fn step(&mut self, frame: &[u8]) -> Result<Progress, Error> {
        self.step_observed(frame, &mut ())
    }

    /// [`Engine::step`], watched.
    pub fn step_observed(&mut self, frame: &[u8], observer: &mut impl Observer) -> Result<Progress, Error> {
        let region = self.driven(RegionKind::Endless)?;
        self.deliver(&region, frame)?;
        self.tick_steps(&region, self.tick, observer)?;
        let left = self.frames_left(&region);
        self.tick += 1;
        // Long before the counter ends, go back by a whole number of periods: every ring position and phase
        // stays the same, and everything that was warm stays warm.
        if self.tick >= TURN {
            let warm = self.warm_ticks(&region);
            let period = region.period.max(1);
            let excess = self.tick.saturating_sub(warm.saturating_add(period));
            self.tick -= excess - excess % period;
        }
        if left > 0 {
            return Ok(Progress::Pending { frames_left: left });
        }
        self.regions_from(1, observer)?;
        Ok(Progress::Ready)
    }

    /// State of a stream, to be kept while the device sleeps: the bytes of the state and the returned counter.
    pub fn snapshot(&self) -> (u32, &[u8]) {
        (self.tick, self.state)
    }

    /// Continues where [`Engine::snapshot`] was taken.
    pub fn restore(&mut self, tick: u32, state: &[u8]) -> Result<(), Error> {
        let (needed, given) = (self.state.len(), state.len());
        if needed != given {
            return Err(Error::Length { needed, given });
        }
        if tick >= TURN {
            return Err(Error::Snapshot { tick });
        }
        self.state.copy_from_slice(state);
        self.tick = tick;
        Ok(())
    }

    fn port(&self, direction: u8, index: usize) -> Result<PortRecord, Error> {
        let port = self.plan.port_of(direction, index).and_then(|i| self.plan.port(i));
        port.ok_or(Error::Port { index })
    }

    /// The first region, if it is of this kind and driven by a port.
    fn driven(&self, kind: RegionKind) -> Result<RegionRecord, Error> {
        match self.plan.region(0) {
            Some(region) if region.kind == kind as u8 && region.port != crate::plan::NONE => Ok(region),
            _ => Err(Error::Drive),
        }
    }

    /// Whether the port's tensor is there as a whole, so that `run` may walk the region without deliveries.
    fn port_is_whole(&self, region: &RegionRecord) -> bool {
        let port = self.plan.port(region.port.into());
        let operand = port.and_then(|port| self.plan.operand(port.operand.into()));
        operand.is_some_and(|operand| !operand.is_ring())
    }

    /// Copies a slice into the port's ring; gives the number of slices of a run.
    fn deliver(&mut self, region: &RegionRecord, bytes: &[u8]) -> Result<u32, Error> {
        let port = self.plan.port(region.port.into()).ok_or(Error::Drive)?;
        let view = self.plan.operand(port.operand.into()).ok_or(Error::Drive)?;
        let needed = view.slice_bytes();
        if bytes.len() != needed {
            return Err(Error::Length { needed, given: bytes.len() });
        }
        let memory = view::memory_mut(self.plan, view.tensor, self.arena, self.state).ok_or(Error::Drive)?;
        let slot = self.tick.checked_rem(view.slots).unwrap_or(0) as usize;
        let start = view.offset as usize + slot * view.slice_stride as usize;
        let target = memory.get_mut(start..).ok_or(Error::Drive)?;
        let rows = bytes.chunks_exact((view.row_bytes as usize).max(1));
        for (row, to) in
            rows.zip(target.chunks_mut((view.row_stride as usize).max(view.row_bytes as usize).max(1)))
        {
            if let Some(to) = to.get_mut(..row.len()) {
                to.copy_from_slice(row);
            }
        }
        Ok(view.slices)
    }
}

/// Checks every step of a plan against its kernel: once, for plans that come at run time.
impl crate::kernels::Library {
    pub fn check_plan(&self, plan: &Plan<'_>) -> Result<(), Error> {
        for index in 0..plan.steps() {
            let missing = Error::Step { index, fault: Fault::Range };
            let step = StepView::new(plan, index).ok_or(missing)?;
            let id = step.kernel().ok_or(missing)?;
            (self.check)(id, &step).map_err(|fault| match self.find(id) {
                Some(_) => Error::Step { index, fault },
                None => Error::MissingKernel { id },
            })?;
        }
        Ok(())
    }
}
