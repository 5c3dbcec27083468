//! Where the time axis of a tensor is, and the form `[1, T, H, W, C]` that it is given.

/// Time in a tensor of the original graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Time {
    /// This axis.
    Axis(usize),
    /// All frames in the last axis of `[1, outer * frames * inner]`.
    Flat { outer: usize, frames: usize, inner: usize },
    /// No axis: one value for each window of frames.
    Window,
}

impl Time {
    /// Frames of a tensor of this shape.
    pub fn frames(self, shape: &[usize]) -> usize {
        match self {
            Time::Axis(axis) => shape[axis],
            Time::Flat { frames, .. } => frames,
            Time::Window => 1,
        }
    }

    /// `[1, T, H, W, C]`; `None` if what is left of a frame has more than three axes.
    pub fn canonical(self, shape: &[usize]) -> Option<Vec<usize>> {
        let frame = match self {
            Time::Flat { outer, inner, .. } => vec![outer, inner],
            Time::Axis(_) | Time::Window => frame_axes(self, shape.len()).map(|axis| shape[axis]).collect(),
        };
        let missing = 3usize.checked_sub(frame.len())?;
        Some([&[1, self.frames(shape)][..], &vec![1; missing], &frame].concat())
    }

    /// Index in the canonical form of axis `axis` of a tensor with `rank` axes; `None` for the batch.
    pub fn index_of(self, axis: usize, rank: usize) -> Option<usize> {
        if self == Time::Axis(axis) {
            return Some(1);
        }
        let frame: Vec<usize> = frame_axes(self, rank).collect();
        Some(5 - frame.len() + frame.iter().position(|&a| a == axis)?)
    }
}

/// Axes of a frame: all but the batch and time.
fn frame_axes(time: Time, rank: usize) -> impl Iterator<Item = usize> {
    (1..rank).filter(move |&axis| time != Time::Axis(axis))
}

/// Where the time axis goes in a reshape from `from` to `to`.
pub(super) fn reshaped(time: Time, from: &[usize], to: &[usize]) -> Option<Time> {
    let (outer, frames, inner) = match time {
        Time::Axis(axis) => {
            (from[..axis].iter().product::<usize>(), from[axis], from[axis + 1..].iter().product::<usize>())
        }
        Time::Flat { outer, frames, inner } => (outer, frames, inner),
        Time::Window => return Some(Time::Window),
    };
    if to.first() != Some(&1) {
        // In front, as recurrent layers of some formats have it.
        return (outer == 1 && to.first() == Some(&frames)).then_some(Time::Axis(0));
    }
    let keeps = (1..to.len()).find(|&axis| {
        to[axis] == frames
            && to[..axis].iter().product::<usize>() == outer
            && to[axis + 1..].iter().product::<usize>() == inner
    });
    match (keeps, to) {
        (Some(axis), _) => Some(Time::Axis(axis)),
        (None, _) if frames == 1 => Some(Time::Window),
        (None, [1, _]) => Some(Time::Flat { outer, frames, inner }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_axis_comes_first() {
        assert_eq!(Time::Axis(1).canonical(&[1, 30, 1, 40]), Some(vec![1, 30, 1, 1, 40]));
        assert_eq!(Time::Axis(2).canonical(&[1, 2, 48, 13]), Some(vec![1, 48, 1, 2, 13]));
        assert_eq!(Time::Axis(1).canonical(&[1, 20, 16, 16, 3]), Some(vec![1, 20, 16, 16, 3]));
        assert_eq!(Time::Window.canonical(&[1, 10]), Some(vec![1, 1, 1, 1, 10]));
        assert_eq!(Time::Axis(2).index_of(1, 4), Some(3));
        assert_eq!(Time::Axis(2).index_of(3, 4), Some(4));
        assert_eq!(Time::Axis(2).index_of(0, 4), None);
    }

    #[test]
    fn reshapes_keep_join_or_lose_the_axis() {
        assert_eq!(reshaped(Time::Axis(1), &[1, 30, 1, 40], &[1, 30, 40]), Some(Time::Axis(1)));
        assert_eq!(reshaped(Time::Axis(2), &[1, 1, 30, 40], &[1, 30, 40]), Some(Time::Axis(1)));
        let flat = Time::Flat { outer: 4, frames: 10, inner: 3 };
        assert_eq!(reshaped(Time::Axis(2), &[1, 4, 10, 3], &[1, 120]), Some(flat));
        assert_eq!(reshaped(Time::Axis(1), &[1, 1, 1, 32], &[1, 32]), Some(Time::Window));
        assert_eq!(reshaped(Time::Axis(1), &[1, 30, 40], &[1, 15, 80]), None);
    }
}
