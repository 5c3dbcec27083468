//! Transposition, broadcasting and strided views for the compiler.

use super::StridedArgs;
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;
use alloc::vec::Vec;

/// Output element `[i0, i1, ..]` is input element `offset + i0 * strides[0] + ..`. Any rank whose axes merge to six.
#[derive(Clone, Copy, Debug)]
pub struct Strided<'a> {
    /// Bytes of an element: 1, 2 or 4.
    pub element: usize,
    pub offset: usize,
    /// Output shape.
    pub shape: &'a [usize],
    /// As many as axes, in elements of the input; 0 repeats.
    pub strides: &'a [usize],
}

/// `y.shape[i] = x.shape[perm[i]]`.
#[derive(Clone, Copy, Debug)]
pub struct Transpose<'a> {
    /// Bytes of an element: 1, 2 or 4.
    pub element: usize,
    /// Input shape.
    pub shape: &'a [usize],
    pub perm: &'a [usize],
}

/// Repeats axes of length 1 up to the output's shape (numpy's rule).
#[derive(Clone, Copy, Debug)]
pub struct BroadcastTo<'a> {
    /// Bytes of an element: 1, 2 or 4.
    pub element: usize,
    /// Input shape; missing leading axes count as 1.
    pub from: &'a [usize],
    pub to: &'a [usize],
}

impl Strided<'_> {
    pub fn pack(&self) -> Packed {
        // Axes of one entry vanish; axes that lie behind one another in the input as in the output become one.
        let mut axes: Vec<(usize, usize)> = Vec::new();
        for (&len, &stride) in self.shape.iter().zip(self.strides) {
            match axes.last_mut() {
                _ if len == 1 => {}
                Some(last) if last.1 == stride * len => *last = (last.0 * len, stride),
                _ => axes.push((len, stride)),
            }
        }
        let (mut shape, mut strides) = ([1u32; 6], [0u32; 6]);
        let places = shape.iter_mut().zip(&mut strides).rev();
        for ((to_len, to_stride), (len, stride)) in places.zip(axes.into_iter().rev()) {
            (*to_len, *to_stride) = (len as u32, stride as u32);
        }
        let args = StridedArgs { element: self.element as u32, offset: self.offset as u32, shape, strides };
        Packed::new(id::STRIDED, args.to_bytes())
    }
}

impl Transpose<'_> {
    pub fn pack(&self) -> Packed {
        let dense = dense_strides(self.shape);
        let shape: Vec<_> = self.perm.iter().map(|&axis| self.shape[axis]).collect();
        let strides: Vec<_> = self.perm.iter().map(|&axis| dense[axis]).collect();
        Strided { element: self.element, offset: 0, shape: &shape, strides: &strides }.pack()
    }
}

impl BroadcastTo<'_> {
    pub fn pack(&self) -> Packed {
        let missing = self.to.len() - self.from.len();
        let mut strides = alloc::vec![0; missing];
        let dense = dense_strides(self.from);
        strides.extend(self.from.iter().zip(dense).map(|(&len, stride)| if len == 1 { 0 } else { stride }));
        Strided { element: self.element, offset: 0, shape: self.to, strides: &strides }.pack()
    }
}

fn dense_strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = alloc::vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    strides
}
