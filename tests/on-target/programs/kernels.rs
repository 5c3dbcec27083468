//! The conformance suite on the target: every kernel gives the bytes that the portable one gave on the host, which
//! packed the plans (`build.rs`).
#![no_std]
#![no_main]

use mote_boards as board;
use mote_cortex_m::kernels::CORTEX_M;
use mote_runtime::{Aligned, Engine, Error, Plan};
use static_cell::ConstStaticCell;

struct Case {
    plan: &'static Aligned<[u8]>,
    inputs: &'static [&'static [u8]],
    expected: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/cases.rs"));

static ARENA: ConstStaticCell<Aligned<[u8; 65536]>> = ConstStaticCell::new(Aligned([0; 65536]));

#[board::entry]
fn main() -> ! {
    let Some(arena) = ARENA.try_take() else { board::exit(1) };
    let mut equal = 0usize;
    for (index, case) in CASES.iter().enumerate() {
        // What was there before must not matter.
        arena.0.fill(0x5a);
        match is_equal(case, &mut arena.0) {
            Ok(true) => equal += 1,
            Ok(false) => defmt::error!("case {=usize} differs", index),
            Err(error) => defmt::error!("case {=usize}: {}", index, error),
        }
    }
    defmt::info!("{=usize} of {=usize} cases are equal", equal, CASES.len());
    board::exit((equal != CASES.len()).into())
}

fn is_equal(case: &Case, arena: &mut [u8]) -> Result<bool, Error> {
    let plan = Plan::parse(&case.plan.0)?;
    CORTEX_M.check_plan(&plan)?;
    let id = plan.kernel(0).unwrap_or(0);
    let kernel = CORTEX_M.find(id).ok_or(Error::MissingKernel { id })?;
    let kernels = [kernel.run];
    let mut engine = Engine::new(&plan, &kernels, arena, &mut [])?;
    for (k, bytes) in case.inputs.iter().enumerate() {
        engine.input(k)?.copy_from(bytes)?;
    }
    engine.run()?;
    Ok(engine.output(0)?.bytes() == case.expected)
}
