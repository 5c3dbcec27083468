//! The only place that knows the runtime's interface.

use mote_cortex_m::mark;
use mote_runtime::{Aligned, Engine, Progress, include_plan};
use static_cell::ConstStaticCell;

use crate::app::Error;

include_plan!(mod plan = concat!(env!("OUT_DIR"), "/plan.mote"), from mote_cortex_m::kernels);

pub use plan::{ARENA_BYTES, STATE_BYTES};

const _: () =
    assert!(plan::ENDLESS, "this plan does not run frame by frame: convert the model with --stream");
const _: () = assert!(plan::INPUT_SLICE_BYTES == size_of::<f32>(), "a frame is one temperature in f32");

static ARENA: ConstStaticCell<Aligned<[u8; ARENA_BYTES]>> = ConstStaticCell::new(Aligned([0; ARENA_BYTES]));
static STATE: ConstStaticCell<Aligned<[u8; STATE_BYTES]>> = ConstStaticCell::new(Aligned([0; STATE_BYTES]));

pub struct Model {
    engine: Engine<'static>,
}

impl Model {
    /// Binds the plan to its memory; once.
    pub fn start() -> Result<Self, Error> {
        let arena = ARENA.try_take().ok_or(Error::Taken)?;
        let state = STATE.try_take().ok_or(Error::Taken)?;
        let engine = Engine::new(&plan::PLAN, plan::KERNELS.as_slice(), &mut arena.0, &mut state.0)?;
        Ok(Self { engine })
    }

    /// Takes a temperature. Gives the scores of both forecasts of it, or `None` while there are too few readings for
    /// forecasts.
    pub fn step(&mut self, celsius: f32) -> Result<Option<[f32; 2]>, Error> {
        mark::begin_inference();
        let progress = self.engine.step(&celsius.to_le_bytes());
        mark::end_inference();
        if progress? != Progress::Ready {
            return Ok(None);
        }
        let scores = self.engine.output(0)?.as_f32()?;
        scores.try_into().map(Some).map_err(|_| Error::Network)
    }

    /// Forgets all readings.
    pub fn reset(&mut self) {
        self.engine.reset();
    }
}
