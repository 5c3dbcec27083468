//! Why a plan was refused.

/// A plan that cannot be used. Offsets are bytes, indices count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum PlanError {
    /// Shorter than its header says, or than a header.
    Truncated { needed: u32, found: u32 },
    /// The label is another: not a plan.
    Label,
    /// Byte order of another machine.
    Endian,
    /// Made by a newer or a no longer supported version.
    Version { found: u16, oldest: u16, newest: u16 },
    /// The file was damaged.
    Crc { stored: u32, computed: u32 },
    /// A section that this runtime does not know and may not skip.
    UnknownSection { kind: u16 },
    /// A section that must be there is missing or twice there.
    Section { kind: u16 },
    /// A record of this table points outside of what it refers to, or contradicts another.
    Record { section: u16, index: u16, fault: Fault },
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Fault {
    /// A code that has no meaning.
    Code,
    /// An index or a range lies outside of its table, tensor or memory.
    Range,
    /// Memory that must be disjoint overlaps.
    Alias,
    /// A step reads slices that are not there yet, or no longer.
    Schedule,
    /// Shapes, types or sizes don't fit each other.
    Shape,
    /// An offset is not a multiple of the element size.
    Alignment,
    /// The kernel's arguments are not what the kernel accepts.
    Arguments,
}

/// Broad class of an error, shared by all of the runtime's errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ErrorKind {
    /// Not a plan, or of another version.
    Incompatible,
    /// The bytes were damaged.
    Corrupt,
    /// The plan contradicts itself.
    Invalid,
    /// A buffer of the caller is too small, misaligned, or of another type.
    Buffer,
    /// The plan needs a kernel that was not linked.
    MissingKernel,
    /// A call that this plan does not serve.
    Usage,
}

impl PlanError {
    pub const fn kind(&self) -> ErrorKind {
        match self {
            PlanError::Label
            | PlanError::Endian
            | PlanError::Version { .. }
            | PlanError::UnknownSection { .. } => ErrorKind::Incompatible,
            PlanError::Truncated { .. } | PlanError::Crc { .. } => ErrorKind::Corrupt,
            PlanError::Section { .. } | PlanError::Record { .. } => ErrorKind::Invalid,
        }
    }
}

impl core::fmt::Display for PlanError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            PlanError::Truncated { needed, found } => {
                write!(f, "the plan is cut short: {needed} bytes needed, {found} found")
            }
            PlanError::Label => f.write_str("this is not a plan: the label MOTEPLAN is missing"),
            PlanError::Endian => f.write_str("the plan's bytes are in another order"),
            PlanError::Version { found, oldest, newest } => {
                write!(
                    f,
                    "plan version {found}; this runtime reads {oldest} to {newest}: convert the model again"
                )
            }
            PlanError::Crc { stored, computed } => {
                write!(f, "the plan is damaged: CRC-32 {computed:08x} instead of {stored:08x}")
            }
            PlanError::UnknownSection { kind } => {
                write!(
                    f,
                    "the plan needs section {kind}, which this runtime does not know: update the runtime"
                )
            }
            PlanError::Section { kind } => {
                write!(f, "section {kind} is missing, repeated or of a wrong size")
            }
            PlanError::Record { section, index, fault } => {
                write!(f, "record {index} of section {section} is invalid: {fault:?}")
            }
        }
    }
}

impl core::error::Error for PlanError {}
