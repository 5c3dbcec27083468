//! The records of a plan file. The rules that they obey are written in `format.md`.

use crate::records;

/// First bytes of every plan.
pub const LABEL: [u8; 8] = *b"MOTEPLAN";
/// Version that this runtime writes, and the newest that it reads.
pub const VERSION: u16 = 2;
/// Oldest version that this runtime reads.
pub const OLDEST_VERSION: u16 = 1;
/// Stored little-endian; reads as another number where byte order was changed.
pub const ENDIAN_MARK: u16 = 0x1234;
/// Alignment in bytes of the plan, its weights, the arena and the state.
pub const ALIGN: usize = 16;
/// No such index.
pub const NONE: u16 = u16::MAX;
/// Largest rank of a tensor.
pub const MAX_RANK: usize = 6;

/// Section kinds. A reader refuses a file with an unknown section that has [`section_flags::REQUIRED`].
pub mod section {
    pub const TENSORS: u16 = 1;
    pub const QUANT: u16 = 2;
    pub const OPERANDS: u16 = 3;
    pub const STEPS: u16 = 4;
    pub const REGIONS: u16 = 5;
    pub const KERNELS: u16 = 6;
    pub const ARGS: u16 = 7;
    pub const BLOBS: u16 = 8;
    pub const WEIGHTS: u16 = 9;
    pub const PORTS: u16 = 10;
    /// What the state holds before the first call.
    pub const FILLS: u16 = 11;
    /// Number of section kinds that the runtime itself walks, plus one.
    pub const CORE: usize = 12;
    /// Reserved for training plans.
    pub const TRAINING: u16 = 24;
    /// Optional, strippable: what only people and tools read.
    pub const STEP_INFO: u16 = 32;
    pub const TENSOR_INFO: u16 = 33;
    pub const STRINGS: u16 = 34;
    pub const LABELS: u16 = 35;
    pub const PREPROCESS: u16 = 36;
    pub const SOURCE: u16 = 37;
    pub const CONVERSION: u16 = 38;
    pub const CANDIDATES: u16 = 40;
    pub const WEIGHED: u16 = 39;
}

pub mod section_flags {
    /// The plan has no meaning without this section.
    pub const REQUIRED: u16 = 1;
}

/// Targets a plan can be packed for ([`Header::target`]).
pub mod target {
    pub const PORTABLE: u16 = 0;
    pub const CORTEX_M0: u16 = 1;
    pub const CORTEX_M4: u16 = 2;
    pub const CORTEX_M7: u16 = 3;
    pub const CORTEX_M33: u16 = 4;
    pub const CORTEX_M55: u16 = 5;
    pub const AARCH64: u16 = 16;
    pub const WASM: u16 = 32;
    pub const WASM_RELAXED: u16 = 33;
}

pub mod step_flags {
    /// Input `k` (for flag `IN_PLACE << k`, `k` < 4) is stored where the output is, with the same view.
    pub const IN_PLACE: u16 = 1;
    pub const IN_PLACE_MASK: u16 = 0xf;
    /// The step's windows over slices move once for all output slices that an input slice becomes: it makes several of
    /// each, and knows itself which of a window's slices it needs.
    pub const STRETCHED: u16 = 0x10;
}

/// Element types ([`TensorRecord::dtype`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DType {
    I8 = 0,
    I16 = 1,
    I32 = 2,
    F32 = 3,
    F16 = 4,
    U8 = 5,
}

impl DType {
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => DType::I8,
            1 => DType::I16,
            2 => DType::I32,
            3 => DType::F32,
            4 => DType::F16,
            5 => DType::U8,
            _ => return None,
        })
    }

    /// Bytes per element.
    pub const fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 => 1,
            DType::I16 | DType::F16 => 2,
            DType::I32 | DType::F32 => 4,
        }
    }
}

/// Where a tensor is kept ([`TensorRecord::space`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Space {
    /// Shared by tensors whose lives don't overlap; content is lost between calls.
    Arena = 0,
    /// Outlives a call: rings over time, recurrent state.
    State = 1,
    /// In the plan's weights.
    Constant = 2,
}

impl Space {
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Space::Arena,
            1 => Space::State,
            2 => Space::Constant,
            _ => return None,
        })
    }
}

/// How a region is driven ([`RegionRecord::kind`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RegionKind {
    /// Whole tensors: one tick.
    Plain = 0,
    /// A fixed number of ticks, one for each row of the input and then the flush.
    Rows = 1,
    /// One tick for each frame, without end.
    Endless = 2,
}

impl RegionKind {
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => RegionKind::Plain,
            1 => RegionKind::Rows,
            2 => RegionKind::Endless,
            _ => return None,
        })
    }
}

records! {
    /// Start of the file.
    pub struct Header {
        pub label_low: u32,
        pub label_high: u32,
        pub version: u16,
        pub endian: u16,
        /// CRC-32 (ISO-HDLC) of all bytes of the file after this field.
        pub crc: u32,
        /// Bytes of the whole file.
        pub length: u32,
        /// Bytes that the arena needs.
        pub arena: u32,
        /// Bytes of state that outlives a call.
        pub state: u32,
        /// One of [`target`].
        pub target: u16,
        /// Section records that follow the header.
        pub sections: u16,
    }

    /// One entry of the table of sections.
    pub struct SectionRecord {
        pub kind: u16,
        pub flags: u16,
        /// From the start of the file.
        pub offset: u32,
        pub bytes: u32,
        /// Bytes of one record of a table; a newer writer may append fields. 0 for plain bytes.
        pub stride: u32,
    }

    /// A tensor and the memory that it owns.
    pub struct TensorRecord {
        pub dtype: u8,
        pub space: u8,
        pub rank: u8,
        pub flags: u8,
        /// Index into the quantization table or [`NONE`].
        pub quant: u16,
        pub reserved: u16,
        /// From the start of its space.
        pub offset: u32,
        /// Bytes owned; less than the shape's for a ring.
        pub bytes: u32,
        /// Logical shape; axes beyond the rank are 1.
        pub shape: [u32; 6],
    }

    /// `real = scale * (q - zero_point)`.
    pub struct QuantRecord {
        pub scale: f32,
        pub zero_point: i32,
    }

    /// A view of a tensor as slices of rows, and the windows in which a step reads it.
    /// Row `r` of slice `s` starts at `offset + (s mod slots) * slice_stride + r * row_stride`.
    pub struct OperandRecord {
        pub tensor: u16,
        /// Tensor that holds the newest slice of the window, plus one; 0 if the view's own tensor has it. Its rows lie
        /// as in the view, from its start.
        pub newest: u16,
        /// From the start of the tensor.
        pub offset: u32,
        /// Slices kept at a time.
        pub slots: u32,
        /// Slices in all; `u32::MAX` if endless.
        pub slices: u32,
        pub slice_stride: u32,
        /// Rows of a slice.
        pub rows: u32,
        pub row_stride: u32,
        pub row_bytes: u32,
        /// Window over slices: output slice `o` reads `o * stride - pad + k * dilation` for `k < count`.
        pub outer_count: u16,
        pub outer_stride: u16,
        pub outer_dilation: u16,
        pub outer_pad: i16,
        /// Window over rows, likewise.
        pub inner_count: u16,
        pub inner_stride: u16,
        pub inner_dilation: u16,
        pub inner_pad: i16,
    }

    /// One kernel call: its inputs are operands `operand .. operand + inputs`, its output is the one after.
    pub struct StepRecord {
        /// Index into the kernel table.
        pub kernel: u16,
        pub flags: u16,
        pub operand: u16,
        pub inputs: u8,
        pub blobs: u8,
        pub blob: u16,
        /// Bytes of kernel arguments.
        pub args_bytes: u16,
        pub args: u32,
        pub scratch: u32,
        pub scratch_bytes: u32,
        /// Due at ticks `phase + i * every`; each time `burst` output slices are made.
        pub every: u16,
        pub burst: u16,
        pub phase: u32,
    }

    /// Steps that run tick by tick.
    pub struct RegionRecord {
        pub kind: u8,
        pub flags: u8,
        /// Port whose slices drive the region; [`NONE`] where the input is whole.
        pub port: u16,
        pub first_step: u16,
        pub steps: u16,
        /// Ticks of one run, the flush included; 0 if endless.
        pub ticks: u32,
        /// Endless: ring positions and phases repeat after this many ticks.
        pub period: u32,
    }

    /// A piece of the weights.
    pub struct BlobRecord {
        pub offset: u32,
        pub bytes: u32,
    }

    /// An input or output of the network.
    pub struct PortRecord {
        /// Operand that gives the tensor and, for streams, the ring.
        pub operand: u16,
        /// 0 input, 1 output.
        pub direction: u8,
        pub flags: u8,
        /// Name: offset and length in the strings.
        pub name: u32,
        pub name_bytes: u32,
        /// Streams: step that makes the output.
        pub step: u16,
        pub reserved: u16,
    }

    /// `count` elements of `bytes` each, set to `value` when state is reset.
    pub struct FillRecord {
        pub offset: u32,
        pub count: u32,
        pub bytes: u32,
        pub value: u32,
    }

    /// For people: name and work of a step.
    pub struct StepInfoRecord {
        pub name: u32,
        pub name_bytes: u32,
        pub macs_low: u32,
        pub macs_high: u32,
    }

    /// For people: a layer with many zeros, which could run dense or sparse, and what the compiler thought that costs,
    /// in a unit of the target's.
    pub struct WeighedRecord {
        pub step: u16,
        /// The best block of the sparse kernel.
        pub block_outputs: u8,
        pub block_inputs: u8,
        /// Share of weights that are zero.
        pub zeros: f32,
        pub dense: f32,
        pub sparse: f32,
    }

    /// For people: name of a tensor.
    pub struct TensorInfoRecord {
        pub name: u32,
        pub name_bytes: u32,
    }

    /// How a picture becomes the input of a port: resize and crop, then `(x / 255 - mean) / deviation` per channel.
    pub struct PreprocessRecord {
        pub port: u16,
        /// 0 stretch to the size, 1 resize the short side to `resize` and crop the centre.
        pub fit: u8,
        /// 0 nearest, 1 bilinear, 2 bicubic.
        pub filter: u8,
        /// 0 RGB, 1 BGR, 2 grey.
        pub order: u8,
        /// 0 rows, columns, channels; 1 channels, rows, columns.
        pub layout: u8,
        pub resize: u16,
        pub height: u16,
        pub width: u16,
        pub mean0: f32,
        pub mean1: f32,
        pub mean2: f32,
        pub deviation0: f32,
        pub deviation1: f32,
        pub deviation2: f32,
    }

    /// For people: a kernel that could compute a step, the chosen one first.
    pub struct CandidateRecord {
        pub step: u16,
        /// Identifier of the kernel.
        pub kernel: u16,
        /// What the compiler took it to cost, with whole tensors; in the units of the target's cost table.
        pub cost: u32,
    }

    /// For people: what the conversion knew.
    pub struct ConversionRecord {
        /// Bytes of arena that the network would need with whole tensors only.
        pub arena_whole: u32,
        /// Microseconds from frame to frame of a stream; 0 if not told.
        pub frame_micros: u32,
    }
}

/// Bytes before the part that the CRC covers.
pub const CRC_FROM: usize = 16;

/// Records as they lie in a plan: who reads one field of them loads one field.
pub(crate) type StepBytes = [u8; StepRecord::SIZE];
pub(crate) type OperandBytes = [u8; OperandRecord::SIZE];

impl StepRecord {
    /// Index of the operand that the step writes.
    #[inline(always)]
    pub const fn output(&self) -> usize {
        self.operand as usize + self.inputs as usize
    }
}

impl RegionRecord {
    /// Indices of the region's steps.
    pub const fn step_range(&self) -> core::ops::Range<usize> {
        let first = self.first_step as usize;
        first..first + self.steps as usize
    }
}

impl OperandRecord {
    /// Bytes of one slice.
    pub const fn slice_bytes(&self) -> usize {
        self.rows as usize * self.row_bytes as usize
    }

    /// Number of the last slice of the window in which output slice `slice` reads.
    #[inline(always)]
    pub const fn last_of_window(&self, slice: usize) -> i64 {
        slice as i64 * self.outer_stride as i64 - self.outer_pad as i64
            + (self.outer_count as i64 - 1) * self.outer_dilation as i64
    }

    /// Whether only some of the slices are kept at a time.
    pub const fn is_ring(&self) -> bool {
        self.slots < self.slices
    }
}
