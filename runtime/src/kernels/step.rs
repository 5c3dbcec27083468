//! A step as a kernel's `check` sees it.

use crate::plan::{DType, Fault, OperandRecord, Plan, StepBytes, StepRecord, TensorRecord, step_flags};

/// One step of a plan, for checking.
#[derive(Clone, Copy)]
pub struct StepView<'a> {
    plan: &'a Plan<'a>,
    /// Read field by field: a check needs few of them.
    bytes: &'a StepBytes,
}

impl<'a> StepView<'a> {
    /// Step `index` of a plan; `None` if there is no such step.
    #[inline(always)]
    pub const fn new(plan: &'a Plan<'a>, index: usize) -> Option<Self> {
        match plan.step_bytes(index) {
            Some(bytes) => Some(Self { plan, bytes }),
            None => None,
        }
    }

    #[inline(always)]
    const fn record(&self) -> StepRecord {
        StepRecord::of(self.bytes)
    }

    /// Identifier of the kernel.
    #[inline(always)]
    pub const fn kernel(&self) -> Option<u16> {
        self.plan.kernel(self.record().kernel as usize)
    }

    /// Number of inputs.
    #[inline(always)]
    pub const fn inputs(&self) -> usize {
        self.record().inputs as usize
    }

    /// View and window of input `index`; index [`Self::inputs`] is the output.
    #[inline(always)]
    pub const fn operand(&self, index: usize) -> Result<OperandRecord, Fault> {
        match self.plan.step_operand(&self.record(), index) {
            Some(operand) => Ok(operand),
            None => Err(Fault::Range),
        }
    }

    /// View of the output.
    #[inline(always)]
    pub const fn output(&self) -> Result<OperandRecord, Fault> {
        self.operand(self.inputs())
    }

    /// The tensor behind operand `index`.
    #[inline(always)]
    pub const fn tensor(&self, index: usize) -> Result<TensorRecord, Fault> {
        match self.operand(index) {
            Ok(operand) => match self.plan.tensor(operand.tensor as usize) {
                Some(tensor) => Ok(tensor),
                None => Err(Fault::Range),
            },
            Err(fault) => Err(fault),
        }
    }

    /// Whether operand `index` has elements of this type.
    #[inline(always)]
    pub const fn is(&self, index: usize, dtype: DType) -> bool {
        match self.tensor(index) {
            Ok(tensor) => tensor.dtype == dtype as u8,
            Err(_) => false,
        }
    }

    /// Elements in a row of operand `index`; 0 if there is no such operand.
    #[inline(always)]
    pub const fn row_len(&self, index: usize) -> usize {
        match (self.operand(index), self.tensor(index)) {
            (Ok(operand), Ok(tensor)) => match DType::from_code(tensor.dtype) {
                Some(dtype) => operand.row_bytes as usize / dtype.size(),
                None => 0,
            },
            _ => 0,
        }
    }

    pub const fn args(&self) -> &'a [u8] {
        self.plan.args(&self.record())
    }

    /// Number of constants.
    #[inline(always)]
    pub const fn blobs(&self) -> usize {
        self.record().blobs as usize
    }

    /// Bytes of constant `index`; 0 if there is none.
    pub const fn blob(&self, index: usize) -> &'a [u8] {
        self.plan.step_blob(&self.record(), index)
    }

    /// Whether constant `index` has so many bytes and starts at a multiple of `align` bytes, a power of two.
    pub const fn blob_is(&self, index: usize, bytes: usize, align: usize) -> bool {
        if index >= self.blobs() {
            return false;
        }
        match self.plan.blob(self.record().blob as usize + index) {
            Some(blob) => blob.bytes as usize == bytes && blob.offset as usize & (align - 1) == 0,
            None => false,
        }
    }

    pub const fn scratch_bytes(&self) -> usize {
        self.record().scratch_bytes as usize
    }

    /// Whether the scratch has room for `bytes`, and is made of whole numbers of `size` bytes: as such a kernel sees it.
    pub const fn has_scratch(&self, bytes: u64, size: usize) -> bool {
        let given = self.scratch_bytes();
        given as u64 >= bytes && given.is_multiple_of(size)
    }

    /// Whether input `index` is stored where the output is.
    pub const fn in_place(&self, index: usize) -> bool {
        index < 4 && self.record().flags & (step_flags::IN_PLACE << index) != 0
    }

    /// Whether any input is stored where the output is.
    pub const fn any_in_place(&self) -> bool {
        self.record().flags & step_flags::IN_PLACE_MASK != 0
    }

    /// Whether each output row reads exactly one row of operand `index`: the same one, or (stride 0) always one.
    pub const fn reads_one_row(&self, index: usize) -> bool {
        match self.operand(index) {
            Ok(o) => o.outer_count == 1 && o.inner_count == 1 && o.outer_pad == 0 && o.inner_pad == 0,
            Err(_) => false,
        }
    }

    /// Rows in the window of operand `index`, padding included; 0 if there is no such operand.
    #[inline(always)]
    pub const fn window(&self, index: usize) -> usize {
        match self.operand(index) {
            Ok(o) => o.outer_count as usize * o.inner_count as usize,
            Err(_) => 0,
        }
    }

    /// Whether no output row finds padding in the window of operand `index`.
    pub const fn within(&self, index: usize) -> bool {
        let (Ok(input), Ok(output)) = (self.operand(index), self.output()) else { return false };
        const fn axis(last: u32, stride: u16, count: u16, dilation: u16, pad: i16, len: u32) -> bool {
            let end = last as i64 * stride as i64 + (count as i64 - 1) * dilation as i64 - pad as i64;
            // Of an endless stream there is always more.
            pad <= 0 && (end < len as i64 || len == u32::MAX)
        }
        let (o, i) = (&output, &input);
        axis(o.slices - 1, i.outer_stride, i.outer_count, i.outer_dilation, i.outer_pad, i.slices)
            && axis(o.rows - 1, i.inner_stride, i.inner_count, i.inner_dilation, i.inner_pad, i.rows)
    }

    /// Whether input `index` is stored where the output is, or each output row reads one row of it.
    pub const fn elementwise(&self, index: usize) -> bool {
        self.in_place(index) || (self.window(index) == 1 && self.within(index))
    }

    /// Whether this is a step with one input, in place or not, in which each output row reads one row of as many
    /// elements.
    pub const fn unary(&self) -> Result<(), Fault> {
        if self.inputs() != 1 || self.row_len(0) != self.row_len(1) {
            return Err(Fault::Shape);
        }
        if self.record().flags & step_flags::IN_PLACE_MASK & !step_flags::IN_PLACE != 0 {
            return Err(Fault::Arguments);
        }
        if self.in_place(0) || (self.reads_one_row(0) && self.within(0)) {
            return Ok(());
        }
        Err(Fault::Shape)
    }

    /// Whether constant `index` holds three `i32` for each of `channels` channels.
    pub const fn channels_are(&self, index: usize, channels: usize) -> bool {
        let bytes = channels as u64 * 12;
        bytes <= u32::MAX as u64 && self.blob_is(index, bytes as usize, 4)
    }
}
