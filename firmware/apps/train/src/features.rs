//! The only place that knows the engine: the frozen network, run once on each sample.

use mote_cortex_m::mark;
use mote_modest::local::Samples;
use mote_runtime::{Aligned, Engine, include_plan, plan::DType};
use static_cell::ConstStaticCell;

use crate::{Error, job::Job};

include_plan!(mod plan = concat!(env!("OUT_DIR"), "/plan.mote"), from mote_cortex_m::kernels, in ".large");

/// Features of a sample: the frozen network gives a code for each.
pub const FEATURES: usize = plan::OUTPUT_SLICE_BYTES;
/// Samples at most.
pub const MOST: usize = 64;

const _: () = assert!(!plan::ENDLESS, "the app trains on whole samples: convert the model without --stream");

static ARENA: ConstStaticCell<Aligned<[u8; plan::ARENA_BYTES]>> =
    ConstStaticCell::new(Aligned([0; plan::ARENA_BYTES]));
static STATE: ConstStaticCell<Aligned<[u8; plan::STATE_BYTES]>> =
    ConstStaticCell::new(Aligned([0; plan::STATE_BYTES]));
static CODES: ConstStaticCell<[[i8; FEATURES]; MOST]> = ConstStaticCell::new([[0; FEATURES]; MOST]);

/// Features of the samples, as codes, with their classes.
pub struct Features {
    codes: &'static [[i8; FEATURES]],
    classes: &'static [u8],
    scale: f32,
    zero_point: i32,
}

impl Features {
    /// Runs the frozen network on all samples of the job.
    pub fn make(job: &Job) -> Result<Features, Error> {
        let (arena, state) = (ARENA.try_take().ok_or(Error::Taken)?, STATE.try_take().ok_or(Error::Taken)?);
        let codes = CODES.try_take().ok_or(Error::Taken)?;
        let mut engine = Engine::new(&plan::PLAN, plan::KERNELS.as_slice(), &mut arena.0, &mut state.0)
            .map_err(Error::Engine)?;
        let needed = engine.input_format(0).map_err(Error::Engine)?.bytes();
        if job.sample_bytes != needed || job.count > MOST {
            return Err(Error::Job { given: job.sample_bytes, needed });
        }
        let (mut scale, mut zero_point) = (1.0, 0);
        for (to, sample) in codes.iter_mut().zip(job.samples()) {
            mark::begin_inference();
            let ran = engine.run_on(&[sample]);
            mark::end_inference();
            ran.map_err(Error::Engine)?;
            let output = engine.output(0).map_err(Error::Engine)?;
            let (DType::I8, Some(quant)) = (output.dtype(), output.quant()) else {
                return Err(Error::Features);
            };
            (scale, zero_point) = quant;
            to.iter_mut().zip(output.bytes()).for_each(|(to, code)| *to = *code as i8);
        }
        let codes = codes.get(..job.count).unwrap_or_default();
        Ok(Features { codes, classes: job.classes, scale, zero_point })
    }

    /// The codes, and what they mean.
    #[cfg(feature = "measure")]
    pub fn told(&self) -> (&[[i8; FEATURES]], f32, i32) {
        (self.codes, self.scale, self.zero_point)
    }
}

/// Bytes of arena and state, and of all features.
#[cfg(feature = "measure")]
pub const MEMORY: [usize; 3] = [plan::ARENA_BYTES, plan::STATE_BYTES, MOST * FEATURES];

impl Samples for Features {
    fn count(&self) -> usize {
        self.codes.len()
    }

    fn sample(&mut self, index: usize, input: &mut [f32]) -> Option<usize> {
        let codes = self.codes.get(index)?;
        for (to, code) in input.iter_mut().zip(codes) {
            *to = self.scale * (i32::from(*code) - self.zero_point) as f32;
        }
        self.classes.get(index).map(|class| usize::from(*class))
    }
}
