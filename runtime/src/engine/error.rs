//! Errors of an engine.

use crate::plan::{ErrorKind, Fault, PlanError};

/// Why an engine could not be made or driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Error {
    /// The plan was refused.
    Plan(PlanError),
    /// The arena is smaller than the plan asks for; bytes.
    Arena { needed: usize, given: usize },
    /// The state is smaller than the plan asks for; bytes.
    State { needed: usize, given: usize },
    /// Plan, arena or state does not start at a multiple of 16 bytes.
    Misaligned,
    /// The plan calls a kernel that the given table does not hold.
    MissingKernel { id: u16 },
    /// The arguments of a step are not what its kernel accepts.
    Step { index: usize, fault: Fault },
    /// No such input or output.
    Port { index: usize },
    /// The tensor's elements are of another type.
    Type,
    /// A frame, row or tensor of another length; in bytes or elements of the call's unit.
    Length { needed: usize, given: usize },
    /// The plan is not driven by this call: `run` for plain and row regions, `push` for row regions, `step` for
    /// endless ones.
    Drive,
    /// No snapshot has this counter.
    Snapshot { tick: u32 },
}

impl Error {
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Error::Plan(error) => error.kind(),
            Error::Arena { .. }
            | Error::State { .. }
            | Error::Misaligned
            | Error::Type
            | Error::Length { .. } => ErrorKind::Buffer,
            Error::MissingKernel { .. } => ErrorKind::MissingKernel,
            Error::Step { .. } => ErrorKind::Invalid,
            Error::Port { .. } | Error::Drive | Error::Snapshot { .. } => ErrorKind::Usage,
        }
    }
}

impl From<PlanError> for Error {
    fn from(error: PlanError) -> Self {
        Error::Plan(error)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Error::Plan(error) => error.fmt(f),
            Error::Arena { needed, given } => {
                write!(f, "the arena has {given} bytes, the plan needs {needed}")
            }
            Error::State { needed, given } => {
                write!(f, "the state has {given} bytes, the plan needs {needed}")
            }
            Error::Misaligned => f.write_str("plan, arena and state must start at a multiple of 16 bytes"),
            Error::MissingKernel { id } => write!(f, "kernel {id} is not in the kernel table"),
            Error::Step { index, fault } => write!(f, "step {index} does not fit its kernel: {fault:?}"),
            Error::Port { index } => write!(f, "there is no input or output {index}"),
            Error::Type => f.write_str("the tensor's elements are of another type"),
            Error::Length { needed, given } => write!(f, "{given} elements given, {needed} needed"),
            Error::Snapshot { tick } => write!(f, "no snapshot has the counter {tick}"),
            Error::Drive => f.write_str("this plan is driven by another call (run, push or step)"),
        }
    }
}

impl core::error::Error for Error {}
