//! The only place that knows the runtime's interface.

use mote_audio::quantize;
use mote_cortex_m::mark;
use mote_runtime::{
    Aligned, Engine, Progress,
    engine::{Format, TensorView},
    include_plan,
    plan::DType,
};
use static_cell::ConstStaticCell;

use crate::{
    app::Error,
    sound::{MELS, ROUNDING},
};

include_plan!(mod plan = concat!(env!("OUT_DIR"), "/plan.mote"), from mote_cortex_m::kernels);

pub use plan::{ARENA_BYTES, STATE_BYTES};

const _: () =
    assert!(plan::ENDLESS, "this plan does not run frame by frame: convert the model with --stream");

static ARENA: ConstStaticCell<Aligned<[u8; ARENA_BYTES]>> = ConstStaticCell::new(Aligned([0; ARENA_BYTES]));
static STATE: ConstStaticCell<Aligned<[u8; STATE_BYTES]>> = ConstStaticCell::new(Aligned([0; STATE_BYTES]));
static FRAME: ConstStaticCell<[u8; plan::INPUT_SLICE_BYTES]> =
    ConstStaticCell::new([0; plan::INPUT_SLICE_BYTES]);

pub struct Model {
    engine: Engine<'static>,
    format: Format,
    frame: &'static mut [u8],
}

impl Model {
    /// Binds the plan to its memory; once.
    pub fn start() -> Result<Self, Error> {
        let arena = ARENA.try_take().ok_or(Error::Taken)?;
        let state = STATE.try_take().ok_or(Error::Taken)?;
        let frame = FRAME.try_take().ok_or(Error::Taken)?;
        let engine = Engine::new(&plan::PLAN, plan::KERNELS.as_slice(), &mut arena.0, &mut state.0)?;
        let format = engine.input_format(0)?;
        match format.dtype() {
            DType::F32 | DType::I8 if frame.len() == MELS * format.dtype().size() => {
                Ok(Self { engine, format, frame })
            }
            _ => Err(Error::Frames { needed: format.len() }),
        }
    }

    /// Takes a frame of features as the next input.
    pub fn write(&mut self, features: &[f32; MELS]) {
        match (self.format.dtype(), self.format.quant()) {
            (DType::I8, Some((scale, zero_point))) => {
                let mut codes = [0; MELS];
                quantize(features, scale, zero_point as i8, ROUNDING, &mut codes);
                self.frame.iter_mut().zip(codes).for_each(|(to, code)| *to = code as u8);
            }
            _ => {
                let (elements, _) = self.frame.as_chunks_mut();
                elements.iter_mut().zip(features).for_each(|(to, feature)| *to = feature.to_le_bytes());
            }
        }
    }

    /// One step of the network with the frame that was written.
    pub fn step(&mut self) -> Result<Progress, Error> {
        mark::begin_inference();
        let progress = self.engine.step(self.frame);
        mark::end_inference();
        Ok(progress?)
    }

    /// The newest result.
    pub fn output(&self) -> Result<TensorView<'_>, Error> {
        Ok(self.engine.output(0)?)
    }

    /// Name of a class; `?` if the plan has none.
    pub fn label(&self, class: usize) -> &'static str {
        plan::PLAN.labels().nth(class).unwrap_or("?")
    }
}
