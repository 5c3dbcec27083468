//! Windows over the slices of a region: over rows, or over frames.
//!
//! With `e` ticks from slice to slice of its input, made from tick `f` on, a step with window `(count, stride,
//! dilation, pad)` makes a slice every `e * stride` ticks, from tick `f + max(0, (count - 1) * dilation - pad) * e` on:
//! as soon as the first window is complete. A ring holds from the oldest slice that a reader wants to the newest that is
//! there when it is due; both move in step, so the first output decides. Where several outputs share a window (a resize
//! to more rows), they come that much faster, and the last of them decides what is kept. A step that makes several slices
//! at a time (a burst) waits for the window of the last one.

use super::{Network, Rate, Region, Ring};
use crate::graph::TensorId;
use mote_runtime::plan::OperandRecord;

/// What the slices of a region are in the views of lowered steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Rows,
    Slices,
}

/// The window of an operand along the axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub slice_bytes: usize,
    pub count: usize,
    pub stride: usize,
    pub dilation: usize,
    pub pad: i64,
    /// Output slices that share it.
    pub stretch: usize,
}

impl Window {
    pub fn of(view: &OperandRecord, axis: Axis) -> Self {
        let (bytes, count, stride, dilation, pad) = match axis {
            Axis::Rows => {
                (view.row_bytes, view.inner_count, view.inner_stride, view.inner_dilation, view.inner_pad)
            }
            Axis::Slices => (
                view.rows * view.row_bytes,
                view.outer_count,
                view.outer_stride,
                view.outer_dilation,
                view.outer_pad,
            ),
        };
        let (slice_bytes, count) = (bytes as usize, count.into());
        Self {
            slice_bytes,
            count,
            stride: stride.into(),
            dilation: dilation.into(),
            pad: pad.into(),
            stretch: 1,
        }
    }

    /// Slices behind the first one that the first `burst` windows need.
    fn wait(&self, burst: usize) -> usize {
        let reach = (self.count as i64 - 1) * self.dilation as i64 + ((burst - 1) * self.stride) as i64;
        usize::try_from(reach - self.pad).unwrap_or(0)
    }
}

/// Where the slices of a tensor come from while the region runs.
#[derive(Clone, Copy)]
pub(super) struct Origin {
    pub rate: Rate,
    /// The view in which it is made, which all readers must share.
    pub view: OperandRecord,
}

impl Origin {
    /// Whether a reader's slices are those that are made.
    pub fn same_slices(&self, reader: &OperandRecord, axis: Axis) -> bool {
        let (a, b) = (&self.view, reader);
        let rows = (a.offset, a.slices, a.rows) == (b.offset, b.slices, b.rows);
        match axis {
            Axis::Rows => rows && (a.row_stride, a.row_bytes) == (b.row_stride, b.row_bytes),
            Axis::Slices => {
                let own = (a.offset, a.slices, a.slice_stride) == (b.offset, b.slices, b.slice_stride);
                // A slice may be seen as fewer, longer rows.
                own && a.rows * a.row_bytes == b.rows * b.row_bytes
            }
        }
    }
}

/// When `burst` windows over slices made at `rate` are complete; `None` if outputs would come between two ticks, or
/// between two slices that are made at a time.
pub(super) fn behind(rate: Rate, window: &Window, burst: usize) -> Option<Rate> {
    let (ticks, shared) = (rate.every * window.stride * burst, window.stretch * rate.burst);
    let fits = ticks.is_multiple_of(shared) && (window.stride * burst).is_multiple_of(rate.burst);
    let every = fits.then_some(ticks / shared)?;
    Some(Rate { every, phase: rate.phase + window.wait(burst) / rate.burst * rate.every, burst })
}

/// How much of the tensor must be kept. All of it, `len` slices, if it is needed behind the region.
pub(super) fn ring(
    network: &Network<'_>,
    region: &Region,
    id: TensorId,
    origin: &Origin,
    axis: Axis,
    len: usize,
) -> Option<Ring> {
    let slice_bytes = Window::of(&origin.view, axis).slice_bytes;
    let uses = network.uses(id)?;
    if uses.read.last().is_some_and(|&last| last >= region.steps.end)
        || (uses.is_output && axis == Axis::Rows)
    {
        return Some(Ring { slots: len, slice_bytes, temporary: false, shared: false });
    }
    let Rate { every, phase, burst } = origin.rate;
    let (mut slots, mut temporary) = (1, true);
    for &reader in &uses.read {
        let Rate { every: due_every, phase: due, .. } = region.rates[reader - region.steps.start];
        // The last of those that share a window comes later than the first.
        let last = due.checked_sub(phase)? + (network.steps()[reader].stretch - 1) * due_every;
        let made = ((last / every + 1) * burst) as i64;
        for operand in
            network.steps()[reader].inputs.iter().filter(|operand| network.root(operand.tensor) == id)
        {
            let kept = made + Window::of(&operand.view, axis).pad;
            slots = slots.max(usize::try_from(kept).unwrap_or(1));
        }
        temporary &= due == phase && network.steps()[reader].stretch == 1;
    }
    let slots = slots.min(len);
    let carried = uses.made.is_some_and(|made| network.steps()[made].carries);
    Some(Ring { slots, slice_bytes, temporary: temporary && slots <= burst && !carried, shared: false })
}
