//! Runs plans on the host, with memory of their own.

use crate::targets;
use mote_runtime::engine::Observer;
use mote_runtime::kernels::{KernelTable, Library};
use mote_runtime::plan::ALIGN;
use mote_runtime::{Engine, Error, Plan};

/// Bytes at an aligned address.
#[derive(Clone, Debug, Default)]
pub struct AlignedBytes {
    blocks: Vec<u128>,
    len: usize,
}

const _: () = assert!(align_of::<u128>() == ALIGN);

impl AlignedBytes {
    pub fn zeroed(len: usize) -> Self {
        Self { blocks: vec![0; len.div_ceil(ALIGN)], len }
    }

    pub fn from_slice(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        aligned.as_mut().copy_from_slice(bytes);
        aligned
    }
}

impl AsRef<[u8]> for AlignedBytes {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.blocks).get(..self.len).unwrap_or(&[])
    }
}

impl AsMut<[u8]> for AlignedBytes {
    fn as_mut(&mut self) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.blocks).get_mut(..self.len).unwrap_or(&mut [])
    }
}

/// Kernels that a plan may have on the host.
const MAX_KERNELS: usize = 256;

/// A plan with its memory.
pub struct Executor {
    plan: AlignedBytes,
    arena: AlignedBytes,
    state: AlignedBytes,
    table: KernelTable<MAX_KERNELS>,
}

impl Executor {
    /// Checks the plan and reserves its memory. Its kernels are those of its target, which give the same numbers here
    /// as there.
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        let aligned = AlignedBytes::from_slice(bytes);
        let plan = Plan::parse(aligned.as_ref())?;
        let library: &Library = targets::library(&plan);
        library.check_plan(&plan)?;
        let table = KernelTable::link(&plan, library.entries).map_err(|id| Error::MissingKernel { id })?;
        let (arena, state) =
            (AlignedBytes::zeroed(plan.arena_bytes()), AlignedBytes::zeroed(plan.state_bytes()));
        Ok(Self { plan: aligned, arena, state, table })
    }

    /// Lends an engine to `work`.
    pub fn with<R>(&mut self, work: impl FnOnce(&mut Engine<'_>) -> Result<R, Error>) -> Result<R, Error> {
        let plan = Plan::parse_unverified(self.plan.as_ref())?;
        let mut engine = Engine::new(&plan, self.table.as_slice(), self.arena.as_mut(), self.state.as_mut())?;
        work(&mut engine)
    }

    /// Runs once: bytes of all inputs in, bytes of all outputs out.
    pub fn run(&mut self, inputs: &[&[u8]]) -> Result<Vec<Vec<u8>>, Error> {
        self.run_observed(inputs, &mut ())
    }

    /// [`Executor::run`], watched.
    pub fn run_observed(
        &mut self,
        inputs: &[&[u8]],
        observer: &mut impl Observer,
    ) -> Result<Vec<Vec<u8>>, Error> {
        self.with(|engine| {
            for (index, bytes) in inputs.iter().enumerate() {
                engine.input(index)?.copy_from(bytes)?;
            }
            engine.run_observed(observer)?;
            (0..engine.outputs()).map(|i| Ok(engine.output(i)?.bytes().to_vec())).collect()
        })
    }

    /// Runs once on real numbers.
    pub fn run_reals(&mut self, inputs: &[&[f32]]) -> Result<Vec<Vec<f32>>, Error> {
        self.with(|engine| {
            for (index, values) in inputs.iter().enumerate() {
                let mut input = engine.input(index)?;
                let (needed, given) = (input.len(), values.len());
                if needed != given {
                    return Err(Error::Length { needed, given });
                }
                values.iter().enumerate().try_for_each(|(i, &value)| input.set_real(i, value))?;
            }
            engine.run()?;
            (0..engine.outputs()).map(|i| Ok(engine.output(i)?.reals().collect())).collect()
        })
    }
}
