//! Plans: the file format, its parser and (host only) its writer.
//!
//! [`Plan`] is a checked view of a plan's bytes. It is made by [`Plan::parse`], which verifies every offset, range,
//! alias and schedule, and is a `const fn`: [`include_plan!`](crate::include_plan) runs it while compiling.
//! May be called by everything above; calls nothing of the crate.

mod check;
mod crc;
mod error;
mod format;
mod record;
#[cfg(feature = "pack")]
mod write;

pub use crc::crc32;
pub use error::{ErrorKind, Fault, PlanError};
pub use format::*;
#[cfg(feature = "pack")]
pub use write::{PlanWriter, StepEntry};

#[doc = include_str!("format.md")]
pub mod specification {}

/// A table or a byte range of a plan.
#[derive(Clone, Copy, Debug)]
struct Table<'a> {
    bytes: &'a [u8],
    stride: u16,
    count: usize,
}

impl<'a> Table<'a> {
    /// The first bytes of the records `range`; of none where one of them is not there.
    #[inline(always)]
    fn records<const N: usize>(
        &self,
        range: core::ops::Range<usize>,
    ) -> impl Iterator<Item = &'a [u8; N]> + use<'a, N> {
        let stride = usize::from(self.stride).max(1);
        let bytes = self.bytes.get(range.start * stride..range.end * stride).unwrap_or(&[]);
        bytes.chunks_exact(stride).filter_map(|record| record.first_chunk())
    }

    /// The first bytes of record `index`. One comparison: the product of two small numbers cannot overflow.
    #[inline(always)]
    const fn record<const N: usize>(&self, index: usize) -> Option<&'a [u8; N]> {
        if index > NONE as usize {
            return None;
        }
        let end = index as u16 as usize * self.stride as usize + N;
        match self.bytes.split_at_checked(end) {
            Some((head, _)) => head.last_chunk(),
            None => None,
        }
    }
}

/// A plan whose every record has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    header: Header,
    bytes: &'a [u8],
    core: [Table<'a>; section::CORE],
}

macro_rules! tables {
    ($($(#[$meta:meta])* $get:ident, $count:ident: $record:ident in $section:ident;)*) => {$(
        $(#[$meta])*
        #[inline(always)]
        pub const fn $get(&self, index: usize) -> Option<$record> {
            match self.core[section::$section as usize].record(index) {
                Some(bytes) => Some($record::of(bytes)),
                None => None,
            }
        }

        #[doc = concat!("Number of records that [`Self::", stringify!($get), "`] gives.")]
        pub const fn $count(&self) -> usize {
            self.core[section::$section as usize].count
        }
    )*};
}

impl<'a> Plan<'a> {
    /// Checks `bytes` with its CRC, and gives the plan in it.
    pub const fn parse(bytes: &'a [u8]) -> Result<Self, PlanError> {
        match Self::parse_unverified(bytes) {
            Ok(plan) => {
                let computed = match bytes.split_at_checked(CRC_FROM) {
                    Some((_, body)) => crc32(body),
                    None => 0,
                };
                if computed != plan.header.crc {
                    return Err(PlanError::Crc { stored: plan.header.crc, computed });
                }
                Ok(plan)
            }
            // A damaged file breaks rules at random: the damage is the better message.
            Err(error) => match (Header::read(bytes, 0), bytes.split_at_checked(CRC_FROM)) {
                (Some(header), Some((_, body))) if matches!(error.kind(), ErrorKind::Invalid) => {
                    let computed = crc32(body);
                    if computed == header.crc {
                        Err(error)
                    } else {
                        Err(PlanError::Crc { stored: header.crc, computed })
                    }
                }
                _ => Err(error),
            },
        }
    }

    /// As [`Plan::parse`] without the CRC, for plans whose storage is trusted: everything else is checked.
    // Inlined, so that the tables are made where they stay: a device calls this once.
    #[inline(always)]
    pub const fn parse_unverified(bytes: &'a [u8]) -> Result<Self, PlanError> {
        let header = match check::header(bytes) {
            Ok(header) => header,
            Err(error) => return Err(error),
        };
        let mut plan = Self { header, bytes, core: [check::EMPTY; section::CORE] };
        match check::sections(bytes, &header, &mut plan.core) {
            Ok(()) => {}
            Err(error) => return Err(error),
        }
        match check::records(&plan) {
            Ok(()) => Ok(plan),
            Err(error) => Err(error),
        }
    }

    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The whole file.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of arena that [`Engine::new`](crate::Engine::new) asks for.
    pub const fn arena_bytes(&self) -> usize {
        self.header.arena as usize
    }

    /// Bytes of state that [`Engine::new`](crate::Engine::new) asks for.
    pub const fn state_bytes(&self) -> usize {
        self.header.state as usize
    }

    tables! {
        tensor, tensors: TensorRecord in TENSORS;
        quant, quants: QuantRecord in QUANT;
        operand, operands: OperandRecord in OPERANDS;
        step, steps: StepRecord in STEPS;
        region, regions: RegionRecord in REGIONS;
        blob, blobs: BlobRecord in BLOBS;
        port, ports: PortRecord in PORTS;
        fill, fills: FillRecord in FILLS;
    }

    /// The record of step `index`, unread: who wants one field of it loads one field.
    #[inline(always)]
    pub(crate) const fn step_bytes(&self, index: usize) -> Option<&'a StepBytes> {
        self.core[section::STEPS as usize].record(index)
    }

    /// The records of steps `range`, unread.
    #[inline(always)]
    pub(crate) fn step_records(
        &self,
        range: core::ops::Range<usize>,
    ) -> impl Iterator<Item = &'a StepBytes> + use<'a> {
        self.core[section::STEPS as usize].records(range)
    }

    /// The record of operand `index`, unread.
    #[inline(always)]
    pub(crate) const fn operand_bytes(&self, index: usize) -> Option<&'a OperandBytes> {
        self.core[section::OPERANDS as usize].record(index)
    }

    /// Identifier of the `index`-th kernel that the plan calls.
    pub const fn kernel(&self, index: usize) -> Option<u16> {
        match self.core[section::KERNELS as usize].record(index) {
            Some(code) => Some(u16::from_le_bytes(*code)),
            None => None,
        }
    }

    /// Number of different kernels that the plan calls.
    pub const fn kernels(&self) -> usize {
        self.core[section::KERNELS as usize].count
    }

    /// All weights and constant tensors.
    pub const fn weights(&self) -> &'a [u8] {
        self.core[section::WEIGHTS as usize].bytes
    }

    /// View and window of operand `index` of a step: its inputs, then its output.
    #[inline(always)]
    pub const fn step_operand(&self, step: &StepRecord, index: usize) -> Option<OperandRecord> {
        if index > step.inputs as usize { None } else { self.operand(step.operand as usize + index) }
    }

    /// View of a step's output.
    #[inline(always)]
    pub const fn step_output(&self, step: &StepRecord) -> Option<OperandRecord> {
        self.operand(step.output())
    }

    /// Kernel arguments of a step.
    pub const fn args(&self, step: &StepRecord) -> &'a [u8] {
        slice(self.core[section::ARGS as usize].bytes, step.args as usize, step.args_bytes as usize)
    }

    /// The `index`-th blob of a step; empty if it has fewer.
    pub const fn step_blob(&self, step: &StepRecord, index: usize) -> &'a [u8] {
        if index >= step.blobs as usize {
            return &[];
        }
        match self.blob(step.blob as usize + index) {
            Some(blob) => slice(self.weights(), blob.offset as usize, blob.bytes as usize),
            None => &[],
        }
    }

    /// Bytes of an optional section; `None` if it was stripped.
    pub const fn optional_section(&self, kind: u16) -> Option<&'a [u8]> {
        match check::find(self.bytes, &self.header, kind) {
            Some(record) => Some(slice(self.bytes, record.offset as usize, record.bytes as usize)),
            None => None,
        }
    }

    /// A piece of the strings, `""` where they were stripped.
    pub fn string(&self, offset: u32, bytes: u32) -> &'a str {
        let strings = self.optional_section(section::STRINGS).unwrap_or(&[]);
        core::str::from_utf8(slice(strings, offset as usize, bytes as usize)).unwrap_or("")
    }

    /// Name of a step in the original network, `""` if stripped.
    pub fn step_name(&self, index: usize) -> &'a str {
        let info = self.optional_record(section::STEP_INFO, StepInfoRecord::SIZE, index);
        match info.and_then(|bytes| StepInfoRecord::read(bytes, 0)) {
            Some(info) => self.string(info.name, info.name_bytes),
            None => "",
        }
    }

    /// Multiplications of a step, 0 if stripped.
    pub fn step_macs(&self, index: usize) -> u64 {
        let info = self.optional_record(section::STEP_INFO, StepInfoRecord::SIZE, index);
        match info.and_then(|bytes| StepInfoRecord::read(bytes, 0)) {
            Some(info) => u64::from(info.macs_low) | u64::from(info.macs_high) << 32,
            None => 0,
        }
    }

    /// Name of a tensor in the original network, `""` if stripped.
    pub fn tensor_name(&self, index: usize) -> &'a str {
        let info = self.optional_record(section::TENSOR_INFO, TensorInfoRecord::SIZE, index);
        match info.and_then(|bytes| TensorInfoRecord::read(bytes, 0)) {
            Some(info) => self.string(info.name, info.name_bytes),
            None => "",
        }
    }

    /// How pictures become the input `port`, if the plan tells.
    pub fn preprocess(&self, port: usize) -> Option<PreprocessRecord> {
        (0..)
            .map_while(|i| self.optional_record(section::PREPROCESS, PreprocessRecord::SIZE, i))
            .filter_map(|bytes| PreprocessRecord::read(bytes, 0))
            .find(|record| usize::from(record.port) == port)
    }

    /// Layer `index` of those that could run dense or sparse, if the plan tells.
    pub fn weighed(&self, index: usize) -> Option<WeighedRecord> {
        WeighedRecord::read(self.optional_record(section::WEIGHED, WeighedRecord::SIZE, index)?, 0)
    }

    /// What the conversion knew, if the plan tells.
    pub fn conversion(&self) -> Option<ConversionRecord> {
        ConversionRecord::read(self.optional_record(section::CONVERSION, ConversionRecord::SIZE, 0)?, 0)
    }

    /// The `index`-th kernel that the compiler weighed, if the plan tells: those of a step together, the chosen one first.
    pub fn candidate(&self, index: usize) -> Option<CandidateRecord> {
        CandidateRecord::read(self.optional_record(section::CANDIDATES, CandidateRecord::SIZE, index)?, 0)
    }

    /// Class names, first class first.
    pub fn labels(&self) -> impl Iterator<Item = &'a str> {
        let mut rest = self.optional_section(section::LABELS).unwrap_or(&[]);
        // Not `str::lines`, which the compiler cannot prove free of panics.
        core::iter::from_fn(move || {
            let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
            let (line, tail) = rest.split_at_checked(end).filter(|_| !rest.is_empty())?;
            rest = tail.get(1..).unwrap_or(&[]);
            core::str::from_utf8(line).ok()
        })
    }

    /// Index of the `index`-th port of a direction (0 input, 1 output).
    pub const fn port_of(&self, direction: u8, index: usize) -> Option<usize> {
        let mut seen = 0;
        let mut i = 0;
        while let Some(port) = self.port(i) {
            if port.direction == direction {
                if seen == index {
                    return Some(i);
                }
                seen += 1;
            }
            i += 1;
        }
        None
    }

    /// View through which the `index`-th input (direction 0) or output (1) goes in or out.
    pub const fn port_view(&self, direction: u8, index: usize) -> Option<OperandRecord> {
        match self.port_of(direction, index) {
            Some(port) => match self.port(port) {
                Some(port) => self.operand(port.operand as usize),
                None => None,
            },
            None => None,
        }
    }

    fn optional_record(&self, kind: u16, size: usize, index: usize) -> Option<&'a [u8]> {
        let section = check::find(self.bytes, &self.header, kind)?;
        let stride = section.stride as usize;
        let start = index.checked_mul(stride)?;
        let bytes = slice(self.bytes, section.offset as usize, section.bytes as usize);
        (stride >= size).then_some(bytes)?.get(start..start.checked_add(stride)?)
    }
}

/// `bytes[offset..offset + len]`, empty if out of range.
pub(crate) const fn slice(bytes: &[u8], offset: usize, len: usize) -> &[u8] {
    match bytes.split_at_checked(offset) {
        Some((_, rest)) => match rest.split_at_checked(len) {
            Some((part, _)) => part,
            None => &[],
        },
        None => &[],
    }
}
