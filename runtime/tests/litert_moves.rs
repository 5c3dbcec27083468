//! Resizing and conversion between quantizations against LiteRT's reference kernels, bit for bit.
//! `tests/golden/litert_moves.py` makes the values.
#![cfg(feature = "pack")]

mod support;

use std::collections::HashMap;

use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::quantize::{QuantizeF32S8, RequantizeS8};
use mote_runtime::kernels::requantize::DOUBLE;
use mote_runtime::kernels::resize::{Coordinates, NearestRounding, ResizeBilinear, ResizeNearest};
use mote_runtime::plan::DType;
use support::{Input, ONE, Shape, run_s8};

const VALUES: &str = include_str!("../../tests/golden/litert_moves.txt");

/// One line of the golden file.
struct Case(HashMap<&'static str, &'static str>);

impl Case {
    fn all(op: &str) -> Vec<Self> {
        let lines = VALUES.lines().filter(|line| line.split(' ').next() == Some(op));
        let words = |line: &'static str| line.split(' ').filter_map(|word| word.split_once('=')).collect();
        let cases: Vec<Self> = lines.map(|line| Self(words(line))).collect();
        assert!(!cases.is_empty(), "{op}");
        cases
    }

    fn int(&self, key: &str) -> i32 {
        self.0[key].parse().unwrap()
    }

    fn scale(&self, key: &str) -> f32 {
        f32::from_bits(u32::from_str_radix(&self.0[key][2..], 16).unwrap())
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        let text = self.0[key];
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap()).collect()
    }

    fn sizes(&self) -> [usize; 4] {
        ["h", "w", "oh", "ow"].map(|key| self.int(key) as usize)
    }

    fn coordinates(&self) -> Coordinates {
        match (self.int("align"), self.int("half")) {
            (1, _) => Coordinates::AlignCorners,
            (_, 1) => Coordinates::HalfPixel { pytorch: false },
            _ => Coordinates::Asymmetric,
        }
    }

    /// Runs the kernel on `x` and compares with `y`.
    fn check(&self, what: &str, packed: &Packed, dtype: DType, rows: (usize, usize)) {
        let (bytes, want) = (self.bytes("x"), self.bytes("y"));
        let inner = if rows == (1, 1) { ONE } else { (1, 0, 1, 0) };
        let input = Input { dtype, slices: 1, rows: rows.0, bytes, outer: ONE, inner, in_place: false };
        let got = run_s8(packed, &[input], Shape::s8(rows.1, want.len() / rows.1));
        assert_eq!(got, bytemuck::cast_slice::<_, i8>(&want), "{what}");
    }
}

#[test]
fn bilinear() {
    for case in Case::all("bilinear") {
        let ([in_height, in_width, out_height, out_width], coordinates) = (case.sizes(), case.coordinates());
        let spec = ResizeBilinear { in_height, in_width, out_height, out_width, channels: 2, coordinates };
        case.check(&format!("{spec:?}"), &spec.pack_s8(), DType::I8, (in_height, out_height));
    }
}

#[test]
fn nearest() {
    for case in Case::all("nearest") {
        let ([in_height, in_width, out_height, out_width], coordinates) = (case.sizes(), case.coordinates());
        let rounding = match coordinates {
            Coordinates::Asymmetric => NearestRounding::Floor,
            _ => NearestRounding::HalfUp,
        };
        let pixel_bytes = 2;
        let spec =
            ResizeNearest { in_height, in_width, out_height, out_width, pixel_bytes, coordinates, rounding };
        case.check(&format!("{spec:?}"), &spec.pack(), DType::I8, (in_height, out_height));
    }
}

#[test]
fn quantize() {
    for case in Case::all("quantize") {
        let (scale, zero_point) = (case.scale("s"), case.int("z"));
        let spec = QuantizeF32S8 { scale, zero_point, min: -128, max: 127, half_even: false };
        case.check(&format!("{spec:?}"), &spec.pack(), DType::F32, (1, 1));
    }
}

#[test]
fn requantize() {
    for case in Case::all("requantize") {
        let factor = f64::from(case.scale("s")) / f64::from(case.scale("so"));
        let zero_point = case.int("zo");
        let requant = Requant { factors: vec![factor], zero_point, min: -128, max: 127, rounding: DOUBLE };
        let spec = RequantizeS8 { in_zero_point: case.int("z"), in_unsigned: false, requant: &requant };
        case.check(&format!("{spec:?}"), &spec.pack(), DType::I8, (1, 1));
    }
}
