//! The app proper: binds the plan, runs it, remembers which steps ran.

use core::hint::black_box;

use embedded_io::Write;
use mote_cortex_m::{kernels::CORTEX_M, mark};
use mote_runtime::{
    Engine, Observer, Plan,
    engine::Format,
    kernels::KernelTable,
    plan::{NONE, RegionKind},
};
use static_cell::{ConstStaticCell, StaticCell};

use crate::{job::Job, random};

/// Why the app gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// No loader was there.
    NoJob,
    /// The plan, or the engine, was refused.
    Model(mote_runtime::Error),
    /// It calls too many different kernels.
    Kernels,
    /// Arena, state and a slice of the input do not fit.
    Memory,
    /// The app was started before: its memory is taken.
    Taken,
    /// The console does not take the report.
    Console,
}

impl Error {
    /// What the program ends with.
    pub fn code(self) -> i32 {
        match self {
            Self::NoJob => 2,
            Self::Model(_) => 3,
            Self::Kernels => 4,
            Self::Memory => 5,
            Self::Taken => 6,
            Self::Console => 7,
        }
    }
}

impl From<mote_runtime::Error> for Error {
    fn from(error: mote_runtime::Error) -> Self {
        Self::Model(error)
    }
}

/// Different kernels that a plan may call.
const MAX_KERNELS: usize = 64;

/// Steps of the last inference, in the order in which they ran: they depend on regions, and the counting plugin knows
/// when a lap ends, but not which step ran.
pub type Laps = heapless::Vec<u16, 0x2_0000>;

static LAPS: ConstStaticCell<Laps> = ConstStaticCell::new(Laps::new());

/// Runs the plan that was received, all but the last time unwatched.
pub fn run(received: &'static [u8], work: &'static mut [u8]) -> Result<&'static Laps, Error> {
    let job = Job::read(received).ok_or(Error::NoJob)?;
    let laps = LAPS.try_take().ok_or(Error::Taken)?;
    mark::begin_start_up();
    let model = Model::bind(&job, work);
    // Keeps the compiler from moving work out of what is measured.
    black_box(&model);
    mark::end_start_up();
    let mut model = model?;
    for _ in 1..job.runs {
        model.run(&job, &mut ())?;
    }
    model.run(&job, &mut Watch { laps: &mut *laps })?;
    Ok(laps)
}

/// Writes what [`run`] brought: the step of each lap of the last inference (u16), the number of laps (u32), the most
/// stack in use (u32).
pub fn report(console: &mut impl Write, laps: &Laps, stack_bytes: usize) -> Result<(), Error> {
    let mut write = |bytes: &[u8]| console.write_all(bytes).map_err(|_| Error::Console);
    for step in laps {
        write(&step.to_le_bytes())?;
    }
    write(&(laps.len() as u32).to_le_bytes())?;
    write(&(stack_bytes as u32).to_le_bytes())?;
    console.flush().map_err(|_| Error::Console)
}

/// Sets a marker after each step and remembers which step it was.
struct Watch<'a> {
    laps: &'a mut Laps,
}

impl Observer for Watch<'_> {
    fn after(&mut self, step: usize, _: core::ops::Range<usize>, _: &[u8]) {
        mark::lap();
        mark::pause();
        // A lap too many shows on the host, where the numbers of laps differ.
        let _ = self.laps.push(step as u16);
        mark::resume();
    }
}

struct Model {
    plan: &'static Plan<'static>,
    engine: Engine<'static>,
    /// A row or frame on its way into the network.
    slice: &'static mut [u8],
}

impl Model {
    /// As for a plan that came over the air, whose CRC was looked at when it was stored: its bytes are parsed, checked
    /// against all kernels of the target, and bound.
    fn bind(job: &Job, work: &'static mut [u8]) -> Result<Self, Error> {
        static PLAN: StaticCell<Plan<'static>> = StaticCell::new();
        static TABLE: ConstStaticCell<KernelTable<MAX_KERNELS>> = ConstStaticCell::new(KernelTable::empty());

        let plan = Plan::parse_unverified(black_box(job.plan)).map_err(mote_runtime::Error::from)?;
        let plan: &_ = PLAN.try_init(plan).ok_or(Error::Taken)?;
        CORTEX_M.check_plan(plan)?;
        let table = TABLE.try_take().ok_or(Error::Taken)?;
        table.fill(plan, CORTEX_M.entries).map_err(|_| Error::Kernels)?;
        let aligned = |bytes: usize| bytes.checked_next_multiple_of(16).ok_or(Error::Memory);
        let (arena, rest) = work.split_at_mut_checked(aligned(plan.arena_bytes())?).ok_or(Error::Memory)?;
        let (state, rest) = rest.split_at_mut_checked(aligned(plan.state_bytes())?).ok_or(Error::Memory)?;
        let slice = plan.port_view(0, 0).map_or(0, |view| view.slice_bytes());
        let slice = rest.get_mut(..slice).ok_or(Error::Memory)?;
        Ok(Self { plan, engine: Engine::new(plan, table.as_slice(), arena, state)?, slice })
    }

    /// One inference, or one frame.
    fn run(&mut self, job: &Job, observer: &mut impl Observer) -> Result<(), Error> {
        let seed = u64::from(job.seed); // always the same, so that runs can be compared
        for index in 0..self.engine.inputs() {
            let format = self.engine.input_format(index)?;
            // One that is delivered slice by slice has no place as a whole.
            if let Ok(mut input) = self.engine.input(index) {
                random::write(seed, 0, format.dtype(), input.bytes_mut());
            }
        }
        let delivered = self.plan.port_view(0, 0).is_some_and(|view| view.is_ring());
        let region = self.plan.region(0).filter(|region| region.port != NONE && delivered);
        let format = self.engine.input_format(0)?;
        match region.and_then(|region| RegionKind::from_code(region.kind)) {
            Some(RegionKind::Endless) => {
                random::write(seed, 0, format.dtype(), self.slice);
                mark::begin_inference();
                let result = self.engine.step_observed(self.slice, observer);
                mark::end_inference();
                result?;
            }
            Some(RegionKind::Rows) => {
                mark::begin_inference();
                let result = self.push_rows(seed, &format, observer);
                mark::end_inference();
                result?;
            }
            _ => {
                mark::begin_inference();
                let result = self.engine.run_observed(observer);
                mark::end_inference();
                result?;
            }
        }
        Ok(())
    }

    fn push_rows(&mut self, seed: u64, format: &Format, observer: &mut impl Observer) -> Result<(), Error> {
        use mote_runtime::Progress;

        let elements = self.slice.len() / format.dtype().size().max(1);
        let mut first = 0;
        loop {
            mark::pause();
            random::write(seed, first, format.dtype(), self.slice);
            mark::resume();
            if self.engine.push_observed(self.slice, observer)? == Progress::Ready {
                return Ok(());
            }
            first += elements;
        }
    }
}
