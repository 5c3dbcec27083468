//! Resizing for the compiler: where each output row and column comes from, in exact fractions.

use super::{ONE, ResizeArgs};
use crate::kernels::pack::Packed;
use crate::kernels::portable::id;
use alloc::vec::Vec;

/// Source coordinate of output position `i`, for `n_in` source and `n_out` output positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coordinates {
    /// `(i + 0.5) * n_in / n_out - 0.5`; with one output position and `pytorch`, 0.
    HalfPixel { pytorch: bool },
    /// `i * (n_in - 1) / (n_out - 1)`.
    AlignCorners,
    /// `i * n_in / n_out`.
    Asymmetric,
}

/// How a source coordinate becomes an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearestRounding {
    Floor,
    Ceil,
    /// Halves down.
    HalfDown,
    /// Halves up.
    HalfUp,
}

/// Nearest neighbour, any element type. Operand 0: the whole input, of `in_height` rows.
#[derive(Clone, Copy, Debug)]
pub struct ResizeNearest {
    pub in_height: usize,
    pub in_width: usize,
    pub out_height: usize,
    pub out_width: usize,
    /// Channels times bytes of an element.
    pub pixel_bytes: usize,
    pub coordinates: Coordinates,
    pub rounding: NearestRounding,
}

/// Bilinear. Operand 0: the whole input, of `in_height` rows.
#[derive(Clone, Copy, Debug)]
pub struct ResizeBilinear {
    pub in_height: usize,
    pub in_width: usize,
    pub out_height: usize,
    pub out_width: usize,
    pub channels: usize,
    pub coordinates: Coordinates,
}

impl Coordinates {
    /// The coordinate as a fraction with positive denominator.
    fn source(self, i: usize, n_in: usize, n_out: usize) -> (i64, i64) {
        let (i, n_in, n_out) = (i as i64, n_in as i64, n_out as i64);
        match self {
            Coordinates::HalfPixel { pytorch: true } if n_out == 1 => (0, 1),
            Coordinates::HalfPixel { .. } => ((2 * i + 1) * n_in - n_out, 2 * n_out),
            Coordinates::AlignCorners if n_out > 1 => (i * (n_in - 1), n_out - 1),
            Coordinates::AlignCorners => (0, 1),
            Coordinates::Asymmetric => (i * n_in, n_out),
        }
    }

    /// TFLite's coordinate in 1/1024, of its integer kernels.
    fn source_1024(self, i: usize, n_in: usize, n_out: usize) -> i64 {
        let (i, n_in, n_out, one) = (i as i64, n_in as i64, n_out as i64, i64::from(ONE));
        let scale = match self {
            Coordinates::AlignCorners if n_out > 1 => (one * (n_in - 1) + (n_out - 1) / 2) / (n_out - 1),
            _ => (one * n_in + n_out / 2) / n_out,
        };
        match self {
            Coordinates::HalfPixel { pytorch: true } if n_out == 1 => 0,
            Coordinates::HalfPixel { .. } => i * scale + scale / 2 - one / 2,
            _ => i * scale,
        }
    }
}

impl NearestRounding {
    fn index(self, (numerator, denominator): (i64, i64), n_in: usize) -> u16 {
        let index = match self {
            NearestRounding::Floor => numerator.div_euclid(denominator),
            NearestRounding::Ceil => -(-numerator).div_euclid(denominator),
            NearestRounding::HalfDown => -(denominator - 2 * numerator).div_euclid(2 * denominator),
            NearestRounding::HalfUp => (2 * numerator + denominator).div_euclid(2 * denominator),
        };
        index.clamp(0, n_in as i64 - 1) as u16
    }
}

impl ResizeNearest {
    /// First and last source row of each output row.
    pub fn source_rows(&self) -> Vec<(usize, usize)> {
        let index = |i| {
            let at = self.coordinates.source(i, self.in_height, self.out_height);
            usize::from(self.rounding.index(at, self.in_height))
        };
        (0..self.out_height).map(|i| (index(i), index(i))).collect()
    }

    pub fn pack(&self) -> Packed {
        let axis = |n_in: usize, n_out: usize| -> Vec<u16> {
            let index = |i| self.rounding.index(self.coordinates.source(i, n_in, n_out), n_in);
            (0..n_out).map(index).collect()
        };
        let args = ResizeArgs {
            in_height: self.in_height as u16,
            in_width: self.in_width as u16,
            out_height: self.out_height as u16,
            out_width: self.out_width as u16,
            pixel: self.pixel_bytes as u32,
        };
        Packed::new(id::RESIZE_NEAREST, args.to_bytes())
            .with_blob(&axis(self.in_width, self.out_width))
            .with_blob(&axis(self.in_height, self.out_height))
    }
}

impl ResizeBilinear {
    /// First and last source row of each output row, for floats or for codes.
    pub fn source_rows(&self, codes: bool) -> Vec<(usize, usize)> {
        let (n_in, n_out) = (self.in_height, self.out_height);
        let first = if codes { self.axis_s8(n_in, n_out).0 } else { self.axis_f32(n_in, n_out).0 };
        // The kernel reads the next row even where its part is nothing.
        first.into_iter().map(usize::from).map(|y| (y, (y + 1).min(n_in - 1))).collect()
    }

    /// For floats.
    pub fn pack_f32(&self) -> Packed {
        let (columns, parts) = self.axis_f32(self.in_width, self.out_width);
        let (rows, downs) = self.axis_f32(self.in_height, self.out_height);
        Packed::new(id::RESIZE_BILINEAR_F32, self.args(4).to_bytes())
            .with_blob(&columns)
            .with_blob(&parts)
            .with_blob(&rows)
            .with_blob(&downs)
    }

    /// For `i8`, exactly as TFLite's reference. Input and output have the same scale and zero point.
    pub fn pack_s8(&self) -> Packed {
        let (columns, parts) = self.axis_s8(self.in_width, self.out_width);
        let (rows, downs) = self.axis_s8(self.in_height, self.out_height);
        Packed::new(id::RESIZE_BILINEAR_S8, self.args(1).to_bytes())
            .with_blob(&columns)
            .with_blob(&parts)
            .with_blob(&rows)
            .with_blob(&downs)
    }

    fn axis_f32(&self, n_in: usize, n_out: usize) -> (Vec<u16>, Vec<f32>) {
        let split = |i| {
            let (numerator, denominator) = self.coordinates.source(i, n_in, n_out);
            let (index, rest) = (numerator.div_euclid(denominator), numerator.rem_euclid(denominator));
            if index < 0 { (0, 0.0) } else { (index as u16, (rest as f64 / denominator as f64) as f32) }
        };
        (0..n_out).map(split).map(|(index, part)| limit(index, part, n_in)).unzip()
    }

    fn axis_s8(&self, n_in: usize, n_out: usize) -> (Vec<u16>, Vec<u16>) {
        let one = i64::from(ONE);
        let split = |i| {
            let at = self.coordinates.source_1024(i, n_in, n_out).max(0);
            ((at / one) as u16, (at % one) as u16)
        };
        (0..n_out).map(split).map(|(index, part)| limit(index, part, n_in)).unzip()
    }

    fn args(&self, element: usize) -> ResizeArgs {
        ResizeArgs {
            in_height: self.in_height as u16,
            in_width: self.in_width as u16,
            out_height: self.out_height as u16,
            out_width: self.out_width as u16,
            pixel: (self.channels * element) as u32,
        }
    }
}

/// Keeps an index within the source; beyond the last position lies only the last position.
fn limit<T: Default>(index: u16, part: T, n_in: usize) -> (u16, T) {
    if usize::from(index) + 1 >= n_in { ((n_in - 1) as u16, T::default()) } else { (index, part) }
}
