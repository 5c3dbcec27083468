//! Geometry of a window along the columns of a row: which taps of which output column lie inside the input.

/// A window along a row.
#[derive(Clone, Copy, Debug)]
pub struct Columns {
    pub kernel_width: usize,
    pub stride: usize,
    pub dilation: usize,
    /// Columns of padding on the left; what lies beyond the right end is padding too.
    pub pad_left: isize,
}

/// The taps of one output column.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    first: isize,
    dilation: isize,
    /// First tap that lies inside the input.
    pub from: usize,
    /// One behind the last tap that lies inside; not less than `from`.
    pub to: usize,
}

impl Columns {
    /// From the numbers of an argument record.
    #[inline(always)]
    pub const fn of(kernel_width: u16, stride: u16, dilation: u16, pad_left: i16) -> Self {
        Self {
            kernel_width: kernel_width as usize,
            stride: stride as usize,
            dilation: dilation as usize,
            pad_left: pad_left as isize,
        }
    }

    /// Whether all positions of `outputs` output columns over `width` input columns can be computed.
    pub const fn fits(&self, outputs: usize, width: usize) -> bool {
        if self.kernel_width == 0 || self.stride == 0 || self.dilation == 0 || outputs == 0 || width == 0 {
            return false;
        }
        // Nearly always: start-up on a small core should not take products of 64 bits.
        let all = self.kernel_width | self.stride | self.dilation | outputs | width;
        if (all | self.pad_left.unsigned_abs()) < 1 << 14 {
            return true;
        }
        // Each product at most 2^29: no sum overflows.
        const fn product(a: usize, b: usize) -> bool {
            a as u64 * b as u64 <= 1 << 29
        }
        if !product(outputs - 1, self.stride) || !product(self.kernel_width - 1, self.dilation) {
            return false;
        }
        let reach = (outputs - 1) * self.stride + (self.kernel_width - 1) * self.dilation;
        self.pad_left.unsigned_abs() < 1 << 30
            && reach < (1 << 30) - self.pad_left.unsigned_abs()
            && width < 1 << 30
    }

    /// The output columns, of `outputs`, all of whose taps lie inside of `width` input columns.
    pub fn interior(&self, outputs: usize, width: usize) -> core::ops::Range<usize> {
        let stride = self.stride.max(1);
        let reach = self.kernel_width.saturating_sub(1) * self.dilation;
        let start = usize::try_from(self.pad_left).unwrap_or(0).div_ceil(stride).min(outputs);
        let room = width.saturating_add_signed(self.pad_left).checked_sub(reach + 1);
        let end = room.map_or(0, |room| (room / stride + 1).min(outputs));
        start..end.max(start)
    }

    /// Whether one of `outputs` output columns over `width` input columns reads padding.
    pub fn reads_padding(&self, outputs: usize, width: usize) -> bool {
        let reach = (self.kernel_width as isize - 1) * self.dilation as isize;
        let last = (outputs as isize - 1) * self.stride as isize - self.pad_left + reach;
        self.pad_left > 0 || last >= width as isize
    }

    /// The taps of output column `column` over `width` input columns.
    #[inline]
    pub fn span(&self, column: usize, width: usize) -> Span {
        let dilation = self.dilation as isize;
        let first = (column * self.stride) as isize - self.pad_left;
        let last = first + (self.kernel_width as isize - 1) * dilation;
        if first >= 0 && last < width as isize {
            return Span { first, dilation, from: 0, to: self.kernel_width };
        }
        // Taps before a position: as many as whole dilations fit, rounded up.
        let taps = |before: isize| {
            let before = if before > 0 { before as usize } else { 0 };
            (before + self.dilation - 1).checked_div(self.dilation).unwrap_or(0).min(self.kernel_width)
        };
        let from = taps(-first);
        Span { first, dilation, from, to: taps(width as isize - first).max(from) }
    }
}

impl Span {
    /// Input column of tap `tap`, which must be one of `from .. to`.
    #[inline(always)]
    pub fn column(&self, tap: usize) -> usize {
        (self.first + tap as isize * self.dilation) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_the_taps_inside() {
        for (kernel_width, stride, dilation, pad_left, width) in [
            (3, 1, 1, 1, 5),
            (3, 2, 1, 0, 6),
            (5, 1, 2, 4, 3),
            (4, 3, 3, 7, 2),
            (1, 1, 1, 0, 1),
            (2, 2, 1, -3, 9),
        ] {
            let columns = Columns { kernel_width, stride, dilation, pad_left };
            for column in 0..8 {
                let span = columns.span(column, width);
                let whole = span.from == 0 && span.to == kernel_width;
                assert_eq!(columns.interior(8, width).contains(&column), whole, "{columns:?} {column}");
                let reads = (0..=column).any(|column| {
                    let span = columns.span(column, width);
                    (span.from, span.to) != (0, kernel_width)
                });
                assert_eq!(columns.reads_padding(column + 1, width), reads, "{columns:?} {column}");
                for tap in 0..kernel_width {
                    let at = (column * stride + tap * dilation) as isize - pad_left;
                    let inside = at >= 0 && at < width as isize;
                    assert_eq!(inside, (span.from..span.to).contains(&tap), "{columns:?} {column} {tap}");
                    if inside {
                        assert_eq!(span.column(tap), at as usize);
                    }
                }
            }
        }
    }
}
