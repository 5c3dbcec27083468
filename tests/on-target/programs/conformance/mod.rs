//! Runs the cases that the build script made, each a plan of one step, and compares with what the portable kernel gave
//! on the host. For the programs `conformance_*` only.

use mote_boards::exit;
use mote_cortex_m::kernels::CORTEX_M;
use mote_runtime::{Engine, Error, Plan};

/// Bytes that begin where a plan may.
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

static ARENA: static_cell::ConstStaticCell<Aligned<[u8; 1 << 18]>> =
    static_cell::ConstStaticCell::new(Aligned([0; 1 << 18]));

/// Runs all cases and ends the program.
pub fn run(cases: &[u8]) -> ! {
    let Some(arena) = ARENA.try_take() else { exit(1) };
    let (mut rest, mut equal, mut different) = (cases, 0, 0);
    while !rest.is_empty() {
        let Some((case, after)) = Case::split(rest) else {
            defmt::error!("a damaged case");
            exit(1)
        };
        rest = after;
        match case.equal(&mut arena.0) {
            Ok(true) => equal += 1,
            Ok(false) => {
                different += 1;
                defmt::error!("different: {=str}", case.name);
            }
            Err(_) => {
                different += 1;
                defmt::error!("refused: {=str}", case.name);
            }
        }
    }
    // A table that has lost its cases would be noticed.
    defmt::info!("more than 100 equal: {=bool}, different: {=u32}", equal > 100, different);
    exit(if different == 0 { 0 } else { 1 })
}

struct Case<'a> {
    plan: &'a [u8],
    inputs: &'a [u8],
    outputs: &'a [u8],
    name: &'a str,
}

impl<'a> Case<'a> {
    /// The first case, and those behind it.
    fn split(cases: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (lengths, mut rest) = cases.split_first_chunk::<16>()?;
        let mut parts = [&[][..]; 4];
        for (part, length) in parts.iter_mut().zip(lengths.as_chunks::<4>().0) {
            let length = u32::from_le_bytes(*length) as usize;
            *part = rest.get(..length)?;
            rest = rest.get(length.next_multiple_of(16)..)?;
        }
        let [plan, inputs, outputs, name] = parts;
        Some((Self { plan, inputs, outputs, name: core::str::from_utf8(name).ok()? }, rest))
    }

    fn equal(&self, arena: &mut [u8]) -> Result<bool, Error> {
        let plan = Plan::parse(self.plan)?;
        CORTEX_M.check_plan(&plan)?;
        let Some(kernel) = plan.kernel(0).and_then(|id| CORTEX_M.find(id)) else { return Ok(false) };
        // What was there before must not matter.
        arena.fill(0x5a);
        let kernels = [kernel.run];
        let mut engine = Engine::new(&plan, &kernels, arena, &mut [])?;
        let mut inputs = self.inputs;
        let mut k = 0;
        while let Ok(mut input) = engine.input(k) {
            let (bytes, rest) = inputs.split_at_checked(input.bytes_mut().len()).unwrap_or_default();
            input.copy_from(bytes)?;
            (inputs, k) = (rest, k + 1);
        }
        engine.run()?;
        Ok(inputs.is_empty() && engine.output(0)?.bytes() == self.outputs)
    }
}
