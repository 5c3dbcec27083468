//! Where a window meets its input: shared by convolutions and pools.

/// Extent of a window along one axis; elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    pub input: usize,
    pub window: usize,
    pub stride: usize,
    /// Absent elements before the first one.
    pub before: usize,
    /// Absent elements behind the last one.
    pub after: usize,
}

/// The part of a window that exists.
#[derive(Clone, Copy)]
pub struct Part {
    /// First place in the window.
    pub tap: usize,
    /// First place in the input.
    pub start: usize,
    pub count: usize,
}

impl Axis {
    /// Positions of the window; `None` where it fits nowhere or does not move.
    pub const fn output(self) -> Option<usize> {
        let Some(padded) = self.input.checked_add(self.before) else { return None };
        let Some(padded) = padded.checked_add(self.after) else { return None };
        if self.window == 0 || self.stride == 0 || padded < self.window {
            return None;
        }
        Some((padded - self.window) / self.stride + 1)
    }

    /// What the window covers at a position of the output.
    #[inline]
    pub fn part(self, position: usize) -> Part {
        let first = position * self.stride;
        let tap = self.before.saturating_sub(first).min(self.window);
        let start = (first + tap).saturating_sub(self.before).min(self.input);
        let end = (first + self.window).saturating_sub(self.before).min(self.input);
        Part { tap, start, count: end.saturating_sub(start) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_what_counting_says() {
        for (input, window, stride, before, after) in
            [(7, 3, 2, 1, 1), (2, 5, 1, 2, 2), (4, 2, 3, 0, 1), (1, 1, 1, 0, 0)]
        {
            let axis = Axis { input, window, stride, before, after };
            for position in 0..axis.output().unwrap() {
                let mut taps =
                    (0..window).filter(|tap| (before..before + input).contains(&(position * stride + tap)));
                let part = axis.part(position);
                assert_eq!(part.count, taps.clone().count());
                if let Some(first) = taps.next() {
                    assert_eq!((part.tap, part.start), (first, position * stride + first - before));
                }
            }
        }
    }

    #[test]
    fn windows_that_fit_nowhere_have_no_output() {
        let axis = Axis { input: 2, window: 3, stride: 1, before: 0, after: 0 };
        assert_eq!(axis.output(), None);
        assert_eq!(Axis { stride: 0, after: 1, ..axis }.output(), None);
        assert_eq!(Axis { input: usize::MAX, after: 1, ..axis }.output(), None);
    }
}
