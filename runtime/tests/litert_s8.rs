//! int8 operators against LiteRT's reference kernels, bit for bit. `tests/golden/litert_ops.py` makes the values.
#![cfg(feature = "pack")]

mod support;

use std::collections::HashMap;

use mote_runtime::kernels::binary_s8::{Affine, ExtremeS8, MulS8, SumS8};
use mote_runtime::kernels::matmul_s8::MatmulS8;
use mote_runtime::kernels::pack::Requant;
use mote_runtime::kernels::pool_s8::PoolS8;
use mote_runtime::kernels::prelu_s8::PreluS8;
use mote_runtime::kernels::reduce_s8::{MeanS8, ReduceS8};
use mote_runtime::kernels::requantize::DOUBLE;
use mote_runtime::kernels::softmax_s8::SoftmaxS8;
use support::{Input, ONE, Shape, run_s8};

const VALUES: &str = include_str!("../../tests/golden/litert_ops.txt");

/// One line of the golden file.
struct Case(HashMap<&'static str, &'static str>);

impl Case {
    fn all(op: &str) -> Vec<Self> {
        let lines = VALUES.lines().filter(|line| line.split(' ').next() == Some(op));
        let cases: Vec<Self> =
            lines.map(|l| Self(l.split(' ').skip(1).filter_map(|w| w.split_once('=')).collect())).collect();
        assert!(!cases.is_empty(), "{op}");
        cases
    }

    fn int(&self, key: &str) -> i32 {
        self.0[key].parse().unwrap()
    }

    fn size(&self, key: &str) -> usize {
        self.0[key].parse().unwrap()
    }

    fn scale(&self, key: &str) -> f32 {
        f32::from_bits(u32::from_str_radix(&self.0[key][2..], 16).unwrap())
    }

    fn codes(&self, key: &str) -> Vec<i8> {
        let text = self.0[key];
        (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap() as i8).collect()
    }
}

fn requant(factor: f64, zero_point: i32, rounding: u8) -> Requant {
    Requant { factors: vec![factor], zero_point, min: -128, max: 127, rounding }
}

fn compare(op: &str, index: usize, got: &[i8], want: &[i8]) {
    let wrong = got.iter().zip(want).filter(|(g, w)| g != w).count();
    assert_eq!(got.len(), want.len(), "{op} {index}");
    assert_eq!(wrong, 0, "{op} {index}: {wrong} of {} differ\n got {got:?}\nwant {want:?}", want.len());
}

#[test]
fn sums() {
    for op in ["add", "sub"] {
        for (i, case) in Case::all(op).iter().enumerate() {
            let affine = |s, z| Affine { scale: case.scale(s).into(), zero_point: case.int(z) };
            let spec = SumS8 {
                a: affine("sa", "za"),
                b: affine("sb", "zb"),
                output: affine("so", "zo"),
                repeat: [1, 1],
                min: -128,
                max: 127,
                rounding: DOUBLE,
            };
            let packed = if op == "add" { spec.pack_add() } else { spec.pack_sub() };
            let want = case.codes("y");
            let inputs = [Input::s8(1, &case.codes("a")), Input::s8(1, &case.codes("b"))];
            compare(op, i, &run_s8(&packed, &inputs, Shape::s8(1, want.len())), &want);
        }
    }
}

#[test]
fn products() {
    for (i, case) in Case::all("mul").iter().enumerate() {
        let factor = case.scale("sa") * case.scale("sb") / case.scale("so");
        let spec = MulS8 {
            zero_a: case.int("za"),
            zero_b: case.int("zb"),
            repeat: [1, 1],
            requant: requant(factor.into(), case.int("zo"), DOUBLE),
        };
        let want = case.codes("y");
        let inputs = [Input::s8(1, &case.codes("a")), Input::s8(1, &case.codes("b"))];
        compare("mul", i, &run_s8(&spec.pack(), &inputs, Shape::s8(1, want.len())), &want);
    }
}

#[test]
fn extremes() {
    for op in ["maximum", "minimum"] {
        for (i, case) in Case::all(op).iter().enumerate() {
            let spec = ExtremeS8 { repeat: [1, 1] };
            let packed = if op == "maximum" { spec.pack_maximum() } else { spec.pack_minimum() };
            let want = case.codes("y");
            let inputs = [Input::s8(1, &case.codes("a")), Input::s8(1, &case.codes("b"))];
            compare(op, i, &run_s8(&packed, &inputs, Shape::s8(1, want.len())), &want);
        }
    }
}

#[test]
fn means() {
    for (i, case) in Case::all("mean").iter().enumerate() {
        let (rows, columns, channels) = (case.size("h"), case.size("w"), case.size("c"));
        let factor = f64::from(case.scale("s")) / f64::from(case.scale("so"));
        let spec = MeanS8 {
            channels,
            count: rows * columns,
            input_zero_point: case.int("z"),
            requant: requant(factor, case.int("zo"), DOUBLE),
        };
        let input = Input::s8(rows, &case.codes("x")).inner((rows, 0, 1, 0));
        compare("mean", i, &run_s8(&spec.pack(), &[input], Shape::s8(1, channels)), &case.codes("y"));
    }
}

#[test]
fn reductions_of_the_last_axis() {
    for op in ["mean_last", "max_last"] {
        for (i, case) in Case::all(op).iter().enumerate() {
            let factor = f64::from(case.scale("s")) / f64::from(case.scale("so"));
            let spec = ReduceS8 {
                depth: case.size("depth"),
                input_zero_point: case.int("z"),
                requant: requant(factor, case.int("zo"), DOUBLE),
            };
            let packed = match op {
                "mean_last" => spec.pack_mean(),
                _ => spec.pack_max(),
            };
            let rows = case.size("rows");
            let input = Input::s8(1, &case.codes("x"));
            compare(op, i, &run_s8(&packed, &[input], Shape::s8(1, rows)), &case.codes("y"));
        }
    }
}

#[test]
fn softmax() {
    for (i, case) in Case::all("softmax").iter().enumerate() {
        let spec = SoftmaxS8 {
            depth: case.size("depth"),
            input_scale: case.scale("s").into(),
            beta: case.scale("beta").into(),
        };
        let want = case.codes("y");
        for in_place in [false, true] {
            let input = Input { in_place, ..Input::s8(1, &case.codes("x")) };
            compare("softmax", i, &run_s8(&spec.pack(), &[input], Shape::s8(1, want.len())), &want);
        }
    }
}

#[test]
fn pools() {
    for op in ["average_pool", "max_pool"] {
        for (i, case) in Case::all(op).iter().enumerate() {
            let channels = case.size("c");
            let spec = PoolS8 {
                channels,
                kernel_rows: case.size("kh"),
                kernel_width: case.size("kw"),
                stride: case.size("stride"),
                dilation: 1,
                pad_left: case.size("pw") as isize,
                include_padding: false,
                zero_point: case.int("z"),
                min: -128,
                max: 127,
            };
            let packed = if op == "max_pool" { spec.pack_max() } else { spec.pack_average() };
            let window = (spec.kernel_rows, spec.stride, 1, case.size("ph") as isize);
            let input = Input::s8(case.size("h"), &case.codes("x")).inner(window);
            let shape = Shape::s8(case.size("oh"), case.size("ow") * channels);
            compare(op, i, &run_s8(&packed, &[input], shape), &case.codes("y"));
        }
    }
}

#[test]
fn prelu() {
    for (i, case) in Case::all("prelu").iter().enumerate() {
        let positive = case.scale("s") / case.scale("so");
        let negative = case.scale("s") * case.scale("sa") / case.scale("so");
        let slopes = case.codes("a");
        let spec = PreluS8 {
            slopes: &slopes,
            slope_zero_point: case.int("za"),
            input_zero_point: case.int("z"),
            requant: Requant {
                factors: vec![positive.into(), negative.into()],
                ..requant(0.0, case.int("zo"), DOUBLE)
            },
        };
        let want = case.codes("y");
        let input = Input::s8(1, &case.codes("x"));
        compare("prelu", i, &run_s8(&spec.pack(), &[input], Shape::s8(1, want.len())), &want);
    }
}

#[test]
fn matmul() {
    for (i, case) in Case::all("matmul").iter().enumerate() {
        let (batch, m, k, n) = (case.size("batch"), case.size("m"), case.size("k"), case.size("n"));
        let (transpose_a, transpose_b) = (case.int("ta") != 0, case.int("tb") != 0);
        let product = case.scale("sa") * case.scale("sb");
        let spec = MatmulS8 {
            depth: k,
            columns: n,
            transpose_a,
            transpose_b,
            zero_a: case.int("za"),
            zero_b: case.int("zb"),
            requant: requant(f64::from(product) / f64::from(case.scale("so")), case.int("zo"), DOUBLE),
        };
        let a = Input::s8(batch * if transpose_a { k } else { m }, &case.codes("a")).outer(batch, ONE);
        let a = if transpose_a { a.inner((k, 0, 1, 0)) } else { a };
        let b_rows = if transpose_b { n } else { k };
        let b = Input::s8(batch * b_rows, &case.codes("b")).outer(batch, ONE).inner((b_rows, 0, 1, 0));
        let shape = Shape { slices: batch, ..Shape::s8(m, n) };
        compare("matmul", i, &run_s8(&spec.pack(), &[a, b], shape), &case.codes("y"));
    }
}
