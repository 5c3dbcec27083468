//! The only place that knows the runtime's interface.

use core::hint::black_box;

use mote_cortex_m::mark;
use mote_runtime::{
    Aligned, Engine,
    engine::{Format, Progress, TensorView},
    include_plan,
};
use static_cell::ConstStaticCell;

use crate::app::Error;

include_plan!(mod plan = concat!(env!("OUT_DIR"), "/plan.mote"), from mote_cortex_m::kernels, in ".large");

pub use plan::{ARENA_BYTES, STATE_BYTES};

static ARENA: ConstStaticCell<Aligned<[u8; ARENA_BYTES]>> = ConstStaticCell::new(Aligned([0; ARENA_BYTES]));
static STATE: ConstStaticCell<Aligned<[u8; STATE_BYTES]>> = ConstStaticCell::new(Aligned([0; STATE_BYTES]));

/// A row on its way into the network; nothing where the input is whole.
static ROW: ConstStaticCell<[u8; ROW_BYTES]> = ConstStaticCell::new([0; ROW_BYTES]);
const ROW_BYTES: usize = if plan::INPUT_IS_RING { plan::INPUT_SLICE_BYTES } else { 0 };

pub struct Model {
    engine: Engine<'static>,
    row: &'static mut [u8],
}

impl Model {
    /// Binds the plan to its memory; once.
    pub fn start() -> Result<Self, Error> {
        let arena = ARENA.try_take().ok_or(Error::Taken)?;
        let state = STATE.try_take().ok_or(Error::Taken)?;
        let row = ROW.try_take().ok_or(Error::Taken)?;
        mark::begin_start_up();
        // The black box keeps the compiler from moving work out of what is measured.
        let engine = black_box(bind(&mut arena.0, &mut state.0));
        mark::end_start_up();
        Ok(Self { engine: engine?, row })
    }

    /// Runs the network on what `fill` writes: it gets the first element's index and the bytes of the whole input or,
    /// for a network that takes its input row by row, of one row after the other. A network over a stream takes one
    /// frame, and may need more of them before there is a result.
    pub fn run(
        &mut self,
        mut fill: impl FnMut(&Format, usize, &mut [u8]) -> Result<(), Error>,
    ) -> Result<Progress, Error> {
        let format = self.engine.input_format(0)?;
        if !plan::INPUT_IS_RING {
            fill(&format, 0, self.engine.input(0)?.bytes_mut())?;
            mark::begin_inference();
            let result = self.engine.run();
            mark::end_inference();
            return Ok(result.map(|()| Progress::Ready)?);
        }
        if plan::ENDLESS {
            fill(&format, 0, self.row)?;
            mark::begin_inference();
            let result = self.engine.step(self.row);
            mark::end_inference();
            return Ok(result?);
        }
        let elements = plan::INPUT_SLICE_BYTES / format.dtype().size();
        let mut first = 0;
        mark::begin_inference();
        loop {
            mark::pause();
            fill(&format, first, self.row)?;
            mark::resume();
            if self.engine.push(self.row)? == Progress::Ready {
                break;
            }
            first += elements;
        }
        mark::end_inference();
        Ok(Progress::Ready)
    }

    pub fn output(&self) -> Result<TensorView<'_>, Error> {
        Ok(self.engine.output(0)?)
    }
}

/// Everything was checked while compiling.
fn bind(arena: &'static mut [u8], state: &'static mut [u8]) -> Result<Engine<'static>, Error> {
    Ok(Engine::new(&plan::PLAN, plan::KERNELS.as_slice(), arena, state)?)
}

/// Index of the largest element; the first one where several are equal.
#[cfg_attr(not(feature = "log"), allow(dead_code))]
pub fn best(output: TensorView<'_>) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, value) in output.reals().enumerate() {
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}
