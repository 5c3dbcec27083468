//! What the module exports: one network per instance, in memory that is reserved before the first run and never grows
//! after it.
//!
//! The order of calls: [`mote_reserve`] room for the plan, write it there, [`mote_open`]; then write inputs where
//! [`mote_port`] tells, [`mote_run`] or [`mote_step`], and read outputs where it tells. Functions that may fail give a
//! negative number, and [`mote_text`] tells why. Records are given by the address of their words.

mod kept;
mod memory;
mod report;

use core::fmt::Write as _;

use mote_runtime::engine::{KernelFn, Observer};
use mote_runtime::kernels::{StepView, portable};
use mote_runtime::plan::RegionKind;
use mote_runtime::{Engine, Error, Plan, Progress};

use self::kept::LIBRARY;
use self::memory::reserve;
use self::report::{Text, port, preprocess, text};

#[link(wasm_import_module = "mote")]
unsafe extern "C" {
    /// Milliseconds since some start.
    safe fn now() -> f64;
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// Most inputs whose place the module keeps.
const INPUTS: usize = 16;

/// A network in memory.
struct Network {
    engine: Engine<'static>,
    /// Where inputs are written; `None` where the engine has a place of its own.
    staged: [Option<&'static mut [u8]>; INPUTS],
    inputs: usize,
    /// Milliseconds per step; empty while nothing is measured.
    laps: &'static mut [f64],
    measured: bool,
}

/// The instance's network. WebAssembly without threads: there is one caller.
static mut NETWORK: Option<Network> = None;

fn network() -> Option<&'static mut Network> {
    let network = &raw mut NETWORK;
    // SAFETY: exported functions don't call each other and aren't called by what they call (`now` calls nothing), so there
    // is one borrow at a time.
    unsafe { (*network).as_mut() }
}

/// Reserves `bytes` of zeros, 16-byte aligned; 0 if the engine gives no more memory.
#[unsafe(no_mangle)]
pub extern "C" fn mote_reserve(bytes: usize) -> *mut u8 {
    reserve(bytes).map_or(core::ptr::null_mut(), <[u8]>::as_mut_ptr)
}

/// Takes the plan of `len` bytes at `start`, which [`mote_reserve`] gave, and reserves arena, state and inputs.
///
/// # Safety
/// `start` and `len` are of memory that was reserved for this plan, and is not written to any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn mote_open(start: *const u8, len: usize) -> i32 {
    // SAFETY: as the caller promises.
    let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(start, len) };
    match open(bytes) {
        Ok(network) => {
            // SAFETY: nothing borrows the network now.
            unsafe { NETWORK = Some(network) };
            0
        }
        Err(code) => code,
    }
}

/// Failures that have no [`Error`].
const OUT_OF_MEMORY: i32 = -100;
const CLOSED: i32 = -101;

fn failed(error: Error) -> i32 {
    let mut text = Text::cleared();
    let _ = write!(text, "{error}");
    -1 - error.kind() as i32
}

fn open(bytes: &'static [u8]) -> Result<Network, i32> {
    let plan = Plan::parse(bytes).map_err(|error| failed(error.into()))?;
    let plan: &'static Plan<'static> = memory::keep(plan).ok_or(OUT_OF_MEMORY)?;
    LIBRARY.check_plan(plan).map_err(failed)?;
    let empty: KernelFn = portable::ENTRIES.first().map(|entry| entry.run).ok_or(OUT_OF_MEMORY)?;
    let kernels = memory::many(plan.kernels(), empty).ok_or(OUT_OF_MEMORY)?;
    for (index, kernel) in kernels.iter_mut().enumerate() {
        let id = plan.kernel(index).unwrap_or(0);
        *kernel = LIBRARY.find(id).ok_or_else(|| failed(Error::MissingKernel { id }))?.run;
    }
    let arena = reserve(plan.arena_bytes()).ok_or(OUT_OF_MEMORY)?;
    let state = reserve(plan.state_bytes()).ok_or(OUT_OF_MEMORY)?;
    let mut engine = Engine::new(plan, kernels, arena, state).map_err(failed)?;
    let inputs = engine.inputs();
    let mut staged = [const { None }; INPUTS];
    if endless(plan) || (0..inputs).any(|index| engine.input(index).is_err()) {
        for (index, staged) in staged.iter_mut().enumerate().take(inputs) {
            let format = engine.input_format(index).map_err(failed)?;
            *staged = Some(reserve(format.bytes().max(format.slice_bytes())).ok_or(OUT_OF_MEMORY)?);
        }
    }
    let laps = memory::many(plan.steps(), 0.0).ok_or(OUT_OF_MEMORY)?;
    Ok(Network { engine, staged, inputs, laps, measured: false })
}

/// Computes the outputs from the inputs.
#[unsafe(no_mangle)]
pub extern "C" fn mote_run() -> i32 {
    let Some(Network { engine, staged, inputs, laps, measured }) = network() else { return CLOSED };
    let mut bytes: [&[u8]; INPUTS] = [&[]; INPUTS];
    let staged = match staged.first() {
        Some(Some(_)) => {
            for (index, (bytes, staged)) in bytes.iter_mut().zip(staged.iter()).enumerate().take(*inputs) {
                let len = engine.input_format(index).map_or(0, |format| format.bytes());
                *bytes = staged.as_deref().and_then(|staged| staged.get(..len)).unwrap_or(&[]);
            }
            bytes.get(..*inputs)
        }
        _ => None,
    };
    let done = match (staged, *measured) {
        (Some(inputs), false) => engine.run_on(inputs),
        (Some(inputs), true) => engine.run_on_observed(inputs, &mut Laps::new(laps)),
        (None, false) => engine.run(),
        (None, true) => engine.run_observed(&mut Laps::new(laps)),
    };
    done.map_or_else(failed, |()| 0)
}

/// Takes the next frame from input 0: 0 if the outputs hold a result, or how many more frames the next one needs.
#[unsafe(no_mangle)]
pub extern "C" fn mote_step() -> i32 {
    let Some(Network { engine, staged, laps, measured, .. }) = network() else { return CLOSED };
    let len = engine.input_format(0).map_or(0, |format| format.slice_bytes());
    let frame = staged.first().and_then(Option::as_deref).and_then(|staged| staged.get(..len)).unwrap_or(&[]);
    let progress = match measured {
        true => engine.step_observed(frame, &mut Laps::new(laps)),
        false => engine.step(frame),
    };
    match progress {
        Ok(Progress::Ready) => 0,
        Ok(Progress::Pending { frames_left }) => frames_left as i32,
        Err(error) => failed(error),
    }
}

/// Forgets everything seen so far.
#[unsafe(no_mangle)]
pub extern "C" fn mote_reset() {
    if let Some(network) = network() {
        network.engine.reset();
    }
}

/// Number of inputs (`direction` 0) or outputs (1).
#[unsafe(no_mangle)]
pub extern "C" fn mote_ports(direction: u32) -> usize {
    network().map_or(0, |n| if direction == 0 { n.inputs } else { n.engine.outputs() })
}

/// Words: address, bytes, bytes of a frame (of the whole where there are none), element type, scale (bits of an `f32`, 0
/// if not quantized), zero point, rank, shape. Null if there is no such port.
#[unsafe(no_mangle)]
pub extern "C" fn mote_port(direction: u32, index: usize) -> *const u32 {
    let Some(network) = network() else { return core::ptr::null() };
    let described = match direction {
        0 => network.engine.input_format(index).map(|format| {
            let staged = network.staged.get(index).and_then(Option::as_deref).map(<[u8]>::as_ptr);
            let own = || {
                network.engine.input(index).map_or(core::ptr::null(), |mut input| input.bytes_mut().as_ptr())
            };
            (format, staged.unwrap_or_else(own))
        }),
        _ => network.engine.output(index).map(|output| (*output.format(), output.bytes().as_ptr())),
    };
    described.map_or(core::ptr::null(), |(format, start)| port(&format, start.addr()))
}

/// How pictures become input `index`. Words: order of channels (0 RGB, 1 BGR, 2 grey), length of the short side of which
/// the input's size is the centre (0: the whole picture, stretched); then, as bits of `f32`, means and deviations of three
/// channels. Null if the plan doesn't tell.
#[unsafe(no_mangle)]
pub extern "C" fn mote_preprocess(index: usize) -> *const u32 {
    let record = network().and_then(|network| network.engine.plan().preprocess(index));
    record.map_or(core::ptr::null(), |record| preprocess(&record))
}

/// Whether the network is driven frame by frame.
#[unsafe(no_mangle)]
pub extern "C" fn mote_endless() -> u32 {
    network().is_some_and(|network| endless(network.engine.plan())).into()
}

fn endless(plan: &Plan<'_>) -> bool {
    plan.region(0).is_some_and(|region| region.kind == RegionKind::Endless as u8)
}

/// Begins (1) or ends (0) measuring, with no time measured yet; gives the address of the steps' milliseconds (`f64`).
#[unsafe(no_mangle)]
pub extern "C" fn mote_measure(on: u32) -> *const f64 {
    let Some(network) = network() else { return core::ptr::null() };
    network.measured = on != 0;
    network.laps.fill(0.0);
    network.laps.as_ptr()
}

/// Number of steps.
#[unsafe(no_mangle)]
pub extern "C" fn mote_steps() -> usize {
    network().map_or(0, |network| network.engine.plan().steps())
}

/// Multiplications of step `index`.
#[unsafe(no_mangle)]
pub extern "C" fn mote_macs(index: usize) -> f64 {
    network().map_or(0.0, |network| network.engine.plan().step_macs(index) as f64)
}

/// Words: address and bytes of a text. `kind` 0: what the last failure was; 1: name of step `index`; 2: of its kernel;
/// 3: label `index` of the first output (null bytes behind the last one); 4: name of input `index`; 5: of output `index`.
#[unsafe(no_mangle)]
pub extern "C" fn mote_text(kind: u32, index: usize) -> *const u32 {
    let Some(network) = network() else { return text(Text::last()) };
    let plan = network.engine.plan();
    let named = |direction: u8| {
        let view = plan.port_view(direction, index);
        view.map_or("", |view| plan.tensor_name(view.tensor.into()))
    };
    text(match kind {
        0 => Text::last(),
        1 => plan.step_name(index),
        2 => {
            let step = StepView::new(plan, index);
            let entry = step.and_then(|step| step.kernel()).and_then(|id| LIBRARY.find(id));
            entry.map_or("", |entry| entry.name)
        }
        3 => plan.labels().nth(index).unwrap_or(""),
        4 => named(0),
        _ => named(1),
    })
}

/// Adds up the time of each step.
struct Laps<'a> {
    laps: &'a mut [f64],
    start: f64,
}

impl<'a> Laps<'a> {
    fn new(laps: &'a mut [f64]) -> Self {
        Self { laps, start: 0.0 }
    }
}

impl Observer for Laps<'_> {
    fn before(&mut self, _: usize) {
        self.start = now();
    }

    fn after(&mut self, step: usize, _: core::ops::Range<usize>, _: &[u8]) {
        if let Some(lap) = self.laps.get_mut(step) {
            *lap += now() - self.start;
        }
    }
}
