//! Views of tensors: which axes are slices, which are rows, what a row holds.

use super::{Context, Operand};
use crate::graph::{Spatial, TensorId};
use mote_runtime::plan::OperandRecord;

/// Lengths of `[T, H, W, C]`; leading axes that are not there are 1, a batch counts as time without a window.
pub(super) fn thwc(shape: &[usize]) -> [usize; 4] {
    match *shape {
        [] => [1, 1, 1, 1],
        [c] => [1, 1, 1, c],
        [n, c] => [1, 1, n, c],
        [n, l, c] => [n, 1, l, c],
        [n, h, w, c] => [n, h, w, c],
        [ref outer @ .., h, w, c] => [outer.iter().product(), h, w, c],
    }
}

impl Context<'_> {
    /// The tensor as T slices of H rows of W positions with C channels.
    pub(super) fn spatial(&self, tensor: TensorId) -> Operand {
        let t = self.graph.tensor(tensor);
        let [slices, rows, width, channels] = thwc(&t.shape).map(|n| n as u32);
        let row_bytes = width * channels * t.dtype.size() as u32;
        let slice_stride = rows * row_bytes;
        let view =
            OperandRecord { slots: slices, slices, slice_stride, ..OperandRecord::rows(0, rows, row_bytes) };
        Operand { tensor, view }
    }

    /// The tensor as rows if these hold whole vectors of `unit` elements, else as one long row.
    pub(super) fn vectors(&self, tensor: TensorId, unit: usize) -> Operand {
        let [.., width, channels] = thwc(&self.graph.tensor(tensor).shape);
        if (width * channels).is_multiple_of(unit.max(1)) { self.spatial(tensor) } else { self.flat(tensor) }
    }

    /// The tensor as slices of one row each: a frame of `[N, T, ..]` a slice, any other tensor as one.
    pub(super) fn frames(&self, tensor: TensorId) -> Operand {
        let t = self.graph.tensor(tensor);
        let slices = if t.shape.len() > 4 { t.shape[1] as u32 } else { 1 };
        let bytes = (t.len() * t.dtype.size()) as u32 / slices.max(1);
        let view = OperandRecord { slots: slices, slices, ..OperandRecord::rows(0, 1, bytes) };
        Operand { tensor, view }
    }

    /// The tensor as one long row.
    pub(super) fn flat(&self, tensor: TensorId) -> Operand {
        let t = self.graph.tensor(tensor);
        Operand { tensor, view: OperandRecord::rows(0, 1, (t.len() * t.dtype.size()) as u32) }
    }

    /// The tensor as rows of `elements` elements each.
    pub(super) fn rows_of(&self, tensor: TensorId, elements: usize) -> Operand {
        let t = self.graph.tensor(tensor);
        let rows = (t.len() / elements.max(1)) as u32;
        Operand { tensor, view: OperandRecord::rows(0, rows, (elements * t.dtype.size()) as u32) }
    }
}

impl Operand {
    /// Reads in the window of a convolution or pool.
    pub(super) fn windowed(self, spatial: &Spatial) -> Operand {
        let [t, h, _] = [0, 1, 2].map(|axis| {
            let pad = spatial.pad[axis].0 as i16;
            (spatial.size[axis] as u16, spatial.stride[axis] as u16, spatial.dilation[axis] as u16, pad)
        });
        let view = self.view.with_outer(t.0, t.1, t.2, t.3).with_inner(h.0, h.1, h.2, h.3);
        Operand { view, ..self }
    }

    /// Every output row reads the same single row of the same slice.
    pub(super) fn repeated(self) -> Operand {
        let view = self.view.with_outer(1, 0, 1, 0).with_inner(1, 0, 1, 0);
        Operand { view, ..self }
    }

    /// Every output row reads all rows of its slice.
    pub(super) fn all_rows(self) -> Operand {
        let rows = self.view.rows as u16;
        Operand { view: self.view.with_inner(rows, 0, 1, 0), ..self }
    }

    /// Every output slice reads all slices.
    pub(super) fn all_slices(self) -> Operand {
        let slices = self.view.slices as u16;
        Operand { view: self.view.with_outer(slices, 0, 1, 0), ..self }
    }
}
