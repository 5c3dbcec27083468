//! What both kernels of attention share: how their operands lie, and the walk over vectors.
//!
//! Input 0 are queries, 1 keys, 2 values: rows of whole vectors, in windows. The windows of keys and of values list the
//! same number of vectors, and an output row holds a vector for each query in its window of queries. So queries, keys
//! and values may be whole tensors, rows of pictures or rings of frames, and attention for the newest frame and for all
//! frames of a window is one thing.

use crate::engine::{Given, Mismatch, Output, Rows};
use crate::kernels::StepView;
use crate::kernels::numbers::numbers;
use crate::kernels::s8::require;
use crate::plan::{DType, Fault};
use crate::records;

records! {
    /// How the heads lie.
    pub struct AttentionShape {
        pub heads: u32,
        /// Vectors in the window of keys.
        pub keys: u32,
        /// Elements of a vector of queries; head `h` has `depth` of them from `query_offset + h * query_stride` on.
        pub query_length: u32,
        pub query_offset: u32,
        pub query_stride: u32,
        pub key_length: u32,
        pub key_offset: u32,
        pub key_stride: u32,
        pub value_length: u32,
        pub value_offset: u32,
        pub value_stride: u32,
        /// Elements of a query's or key's head.
        pub depth: u32,
        /// Elements of a value's head.
        pub value_depth: u32,
    }
}

/// Where the heads of one operand lie.
#[derive(Clone, Copy)]
pub struct Heads {
    /// Elements of a vector.
    pub length: usize,
    /// Where the first head begins.
    pub offset: usize,
    /// From head to head.
    pub stride: usize,
    /// Elements of a head.
    pub depth: usize,
}

impl AttentionShape {
    pub fn queries(&self) -> Heads {
        heads(self.query_length, self.query_offset, self.query_stride, self.depth)
    }

    pub fn key_heads(&self) -> Heads {
        heads(self.key_length, self.key_offset, self.key_stride, self.depth)
    }

    pub fn values(&self) -> Heads {
        heads(self.value_length, self.value_offset, self.value_stride, self.value_depth)
    }

    /// Elements of an output vector.
    pub const fn output_length(&self) -> u64 {
        self.heads as u64 * self.value_depth as u64
    }

    /// Numbers between queries and keys for one query.
    pub const fn scores(&self) -> u64 {
        self.heads as u64 * self.keys as u64
    }

    /// Accepts operands of `dtype`; constant 0 is there if there is a bias: four bytes for each query, head and key. It
    /// has the queries of one slice, if all slices have the same bias (frames of a stream), or those of all slices (rows of
    /// a picture, where a region makes them slices).
    pub const fn check(&self, step: &StepView<'_>, dtype: DType) -> Result<(), Fault> {
        require!(step.inputs() == 3 && !step.any_in_place(), Arguments);
        require!(self.heads > 0 && self.keys > 0 && self.depth > 0 && self.value_depth > 0, Arguments);
        require!(self.depth <= 1 << 13 && self.scores() < 1 << 24, Arguments);
        let mut i = 0;
        while i < 3 {
            require!(step.is(i, dtype) && step.within(i), Shape);
            let (length, offset, stride, depth) = match i {
                0 => (self.query_length, self.query_offset, self.query_stride, self.depth),
                1 => (self.key_length, self.key_offset, self.key_stride, self.depth),
                _ => (self.value_length, self.value_offset, self.value_stride, self.value_depth),
            };
            let reach = offset as u64 + (self.heads as u64 - 1) * stride as u64 + depth as u64;
            require!(reach <= length as u64, Arguments);
            require!(step.row_len(i).is_multiple_of(length as usize), Shape);
            let Some(vectors) = step.row_len(i).checked_div(length as usize) else {
                return Err(Fault::Shape);
            };
            let vectors = vectors as u64 * step.window(i) as u64;
            require!(i == 0 || vectors == self.keys as u64, Shape);
            i += 1;
        }
        let Some(queries) = step.row_len(0).checked_div(self.query_length as usize) else {
            return Err(Fault::Shape);
        };
        let queries = queries as u64 * step.window(0) as u64;
        require!(step.is(3, dtype) && step.row_len(3) as u64 == queries * self.output_length(), Shape);
        let Ok(output) = step.output() else { return Err(Fault::Range) };
        require!(queries < 1 << 24 && output.rows < 1 << 16, Shape);
        let Some(of_slice) = (queries * output.rows as u64).checked_mul(4 * self.scores()) else {
            return Err(Fault::Shape);
        };
        let bytes = step.blob(0).len() as u64;
        let of_all = of_slice.saturating_mul(output.slices as u64);
        let fits = bytes == of_slice || bytes == of_all;
        require!(step.blobs() == 0 || (fits && step.blob_is(0, bytes as usize, 4)), Arguments);
        Ok(())
    }
}

/// The bias of all scores of a step.
#[derive(Clone, Copy)]
pub struct Bias<'a, T> {
    all: &'a [T],
    /// Numbers of a query.
    scores: usize,
    /// Queries of an output row.
    queries: usize,
    /// Rows of a slice.
    rows: usize,
    /// Slices that have a bias of their own.
    slices: usize,
}

impl<'a, T: bytemuck::AnyBitPattern> Bias<'a, T> {
    /// Of a step that makes `output`, `queries` vectors a row.
    pub fn new(
        given: &Given<'a>,
        shape: &AttentionShape,
        output: &Output<'_>,
        queries: usize,
    ) -> Result<Self, Mismatch> {
        let all: &[T] = if given.blob(0).is_empty() { &[] } else { given.constants(0)? };
        let (scores, rows) = ((shape.scores() as usize).max(1), output.rows());
        let slices = all.len().checked_div(scores * queries * rows).unwrap_or(0);
        Ok(Self { all, scores, queries, rows, slices })
    }

    /// For query `query` of a row: `[heads, keys]`, or nothing, if the step has no bias.
    #[inline(always)]
    pub fn of(&self, slice: usize, row: usize, query: usize) -> &'a [T] {
        let slice = if self.slices > 1 { slice.checked_rem(self.slices).unwrap_or(0) } else { 0 };
        let query = (slice * self.rows + row) * self.queries + query;
        self.all.get(query * self.scores..).and_then(|rest| rest.get(..self.scores)).unwrap_or(&[])
    }
}

#[cfg(feature = "pack")]
impl AttentionShape {
    /// A bias in `[heads, queries, keys]` as the kernels read it: `[queries, heads, keys]`.
    pub fn bias_by_query(&self, bias: &[f32]) -> alloc::vec::Vec<f32> {
        let (heads, keys) = (self.heads as usize, self.keys as usize);
        let queries = bias.len() / (heads * keys);
        let rows = (0..queries).flat_map(|i| (0..heads).map(move |h| (h * queries + i) * keys));
        rows.flat_map(|at| bias[at..at + keys].iter().copied()).collect()
    }
}

fn heads(length: u32, offset: u32, stride: u32, depth: u32) -> Heads {
    Heads { length: length as usize, offset: offset as usize, stride: stride as usize, depth: depth as usize }
}

impl Heads {
    /// Calls `f(index, vector)` for every vector of the window, in order.
    #[inline(always)]
    pub fn each<'a, T: bytemuck::AnyBitPattern>(
        &self,
        rows: Rows<'a>,
        mut f: impl FnMut(usize, &'a [T]) -> Result<(), Mismatch>,
    ) -> Result<(), Mismatch> {
        let mut index = 0;
        for row in rows.in_turn() {
            for vector in numbers::<T>(row.ok_or(Mismatch)?)?.chunks_exact(self.length.max(1)) {
                f(index, vector)?;
                index += 1;
            }
        }
        Ok(())
    }

    /// The heads of a vector, in order.
    #[inline(always)]
    pub fn of<'a, T>(&self, vector: &'a [T]) -> impl Iterator<Item = &'a [T]> {
        let (offset, stride, depth) = (self.offset, self.stride, self.depth);
        (0usize..).map_while(move |h| vector.get(offset + h * stride..).and_then(|head| head.get(..depth)))
    }
}
