//! QDQ networks become integer networks.

use super::model::{Model, find, float, int, ints, model, names, text};
use crate::graph::{Activation, DType, Data, Graph, Op, eval, unary_value};
use tract_onnx::pb::tensor_proto::DataType;

impl Model {
    fn scale(self, name: &str, scale: f32) -> Self {
        self.floats(name, &[], &[scale])
    }

    fn zero(self, name: &str, kind: DataType, zero: u8) -> Self {
        self.raw(name, &[], kind, vec![zero])
    }

    /// `to = DQ(Q(from))` with the scale `s_{to}` and the zero point `z_{to}`.
    fn qdq(self, from: &str, to: &str, scale: f32, zero: i8) -> Self {
        let (s, z, q) = (format!("s_{to}"), format!("z_{to}"), format!("q_{to}"));
        self.scale(&s, scale)
            .zero(&z, DataType::Int8, zero as u8)
            .node("QuantizeLinear", &[from, &s, &z], &[&q], &[])
            .node("DequantizeLinear", &[&q, &s, &z], &[to], &[])
    }

    /// Int8 weights `name` with a scale per first axis, and their dequantization `{name}_dq`.
    fn quantized_weights(self, name: &str, dims: &[i64]) -> Self {
        let n = dims.iter().product::<i64>();
        let (s, z) = (format!("{name}_s"), format!("{name}_z"));
        let channels = dims[0] as usize;
        let scales: Vec<f32> = (0..channels).map(|i| 0.01 * (i + 1) as f32).collect();
        self.raw(name, dims, DataType::Int8, (0..n).map(|i| (i * 7 % 255 - 127) as i8 as u8).collect())
            .floats(&s, &[dims[0]], &scales)
            .raw(&z, &[dims[0]], DataType::Int8, vec![0; channels])
            .node("DequantizeLinear", &[name, &s, &z], &[&format!("{name}_dq")], &[int("axis", 0)])
    }
}

fn image() -> Model {
    let mut m = model(13).input("x", &[1, 2, 6, 6]);
    m.options.channels_last_io = true;
    m
}

fn convolution() -> Model {
    image()
        .qdq("x", "xd", 0.05, 3)
        .quantized_weights("w", &[4, 2, 3, 3])
        .raw("b", &[4], DataType::Int32, [100i32, -50, 3, 0].iter().flat_map(|v| v.to_le_bytes()).collect())
        .floats("b_s", &[4], &[0.05 * 0.01, 0.05 * 0.02, 0.05 * 0.03, 0.05 * 0.04])
        .node("DequantizeLinear", &["b", "b_s"], &["b_dq"], &[int("axis", 0)])
        .node("Conv", &["xd", "w_dq", "b_dq"], &["c"], &[ints("pads", &[1, 1, 1, 1])])
}

#[test]
fn a_convolution_between_codes_is_one_integer_node() {
    let m = convolution().node("Relu", &["c"], &["r"], &[]).qdq("r", "y", 0.2, -128).output("y");
    let graph = m.graph();
    assert_eq!(names(&graph), ["quantize", "conv", "dequantize"]);
    let conv = find(&graph, "conv");
    assert_eq!(conv.activation, Activation::Relu);
    let [x, w, b] = conv.inputs[..] else { panic!("{conv:?}") };
    assert_eq!(graph.tensor(x).quant.as_ref().and_then(|q| q.uniform()), Some((0.05, 3)));
    let (weights, bias) = (graph.tensor(w), graph.tensor(b));
    assert_eq!((weights.dtype, &weights.shape[..]), (DType::I8, &[4, 1, 3, 3, 2][..]));
    let quant = weights.quant.as_ref().map(|q| (q.axis, q.scales.len()));
    assert_eq!(quant, Some((Some(0), 4)));
    assert_eq!(bias.data, Some(Data::I32([100, -50, 3, 0].into())));
    assert_eq!(graph.tensor(conv.outputs[0]).quant.as_ref().and_then(|q| q.uniform()), Some((0.2, -128)));
}

#[test]
fn uint8_is_shifted() {
    let m = model(13).input("x", &[4]).scale("s", 0.5).zero("z", DataType::Uint8, 130);
    let m = m.node("QuantizeLinear", &["x", "s", "z"], &["q"], &[]).output("q");
    let graph = m.graph();
    let q = graph.tensor(graph.outputs[0]);
    assert_eq!((q.dtype, q.quant.as_ref().and_then(|q| q.uniform())), (DType::I8, Some((0.5, 2))));
    let m = model(13).typed_input("x", &[4], DataType::Uint8).scale("s", 0.5).zero("z", DataType::Uint8, 130);
    let m = m.node("DequantizeLinear", &["x", "s", "z"], &["y"], &[]).output("y");
    let graph = m.graph();
    assert_eq!(graph.tensor(graph.inputs[0]).dtype, DType::I8);
}

#[test]
fn movement_stays_on_codes() {
    let m = convolution()
        .qdq("c", "cd", 0.3, 1)
        .node("MaxPool", &["cd"], &["p"], &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
        .qdq("p", "pd", 0.3, 1)
        .node("Flatten", &["pd"], &["f"], &[])
        .qdq("f", "fd", 0.3, 1)
        .node("Concat", &["fd", "fd"], &["k"], &[int("axis", 1)])
        .qdq("k", "y", 0.6, 0)
        .output("y");
    let graph = m.graph();
    assert_eq!(
        names(&graph),
        ["quantize", "conv", "max_pool", "requantize", "requantize", "concat", "dequantize"]
    );
    let m = image()
        .qdq("x", "a", 0.1, 0)
        .node("Transpose", &["a"], &["t"], &[])
        .qdq("t", "y", 0.1, 0)
        .output("y");
    let graph = m.graph();
    assert_eq!(names(&graph), ["quantize", "dequantize"]);
}

/// A whole small network: convolution, pool, sum, dense layer.
pub fn residual() -> Model {
    convolution()
        .node("Relu", &["c"], &["r"], &[])
        .qdq("r", "rd", 0.2, -128)
        .node("MaxPool", &["rd"], &["p"], &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])])
        .qdq("p", "pd", 0.2, -128)
        .node("Add", &["pd", "pd"], &["s"], &[])
        .qdq("s", "sd", 0.4, -128)
        .node("GlobalAveragePool", &["sd"], &["g"], &[])
        .qdq("g", "gd", 0.3, -128)
        .node("Flatten", &["gd"], &["f"], &[])
        .qdq("f", "fd", 0.3, -128)
        .quantized_weights("v", &[3, 4])
        .node("Gemm", &["fd", "v_dq"], &["m"], &[int("transB", 1)])
        .qdq("m", "md", 0.5, 4)
        .node("Softmax", &["md"], &["o"], &[])
        .qdq("o", "y", 1.0 / 256.0, -128)
        .output("y")
}

/// A GELU as quantizers leave it: `Div`, `Erf`, `Add`, `Mul`, `Mul` with roundings between.
fn gelu() -> Model {
    model(13)
        .input("x", &[1, 8])
        .floats("root2", &[], &[std::f32::consts::SQRT_2])
        .floats("one", &[], &[1.0])
        .floats("half", &[], &[0.5])
        .qdq("x", "xd", 0.03, -5)
        .node("Div", &["xd", "root2"], &["d"], &[])
        .node("Erf", &["d"], &["e"], &[])
        .qdq("e", "ed", 1.0 / 127.0, 0)
        .node("Add", &["ed", "one"], &["a"], &[])
        .qdq("a", "ad", 2.0 / 255.0, -128)
        .node("Mul", &["xd", "ad"], &["m"], &[])
        .qdq("m", "md", 0.06, -100)
        .node("Mul", &["md", "half"], &["h"], &[])
        .qdq("h", "y", 0.015, -110)
        .output("y")
}

#[test]
fn a_chain_of_functions_is_one_table() {
    let graph = gelu().graph();
    assert_eq!(names(&graph), ["quantize", "lookup", "dequantize"]);
    let Op::Lookup { table } = &find(&graph, "lookup").op else { panic!() };
    for (i, &code) in table.iter().enumerate() {
        let round = |v: f32, s: f32, z: f32| ((v / s).round_ties_even() + z).clamp(-128.0, 127.0);
        let x = (i as f32 - 128.0 + 5.0) * 0.03;
        let erf = unary_value(crate::graph::UnaryFn::Erf, f64::from(x / std::f32::consts::SQRT_2)) as f32;
        let e = round(erf, 1.0 / 127.0, 0.0) * (1.0 / 127.0);
        let a = (round(e + 1.0, 2.0 / 255.0, -128.0) + 128.0) * (2.0 / 255.0);
        let m = (round(x * a, 0.06, -100.0) + 100.0) * 0.06;
        assert_eq!(f32::from(code), round(m * 0.5, 0.015, -110.0), "code {i}");
    }
}

#[test]
fn one_function_is_a_node_of_its_own() {
    let m = model(13).input("x", &[1, 8]).qdq("x", "a", 0.1, 0);
    let m = m.node("Sigmoid", &["a"], &["s"], &[]).qdq("s", "y", 1.0 / 255.0, -128).output("y");
    assert_eq!(names(&m.graph()), ["quantize", "sigmoid", "dequantize"]);
}

#[test]
fn what_quantizers_leave_real_stays_real() {
    let m = model(13).input("x", &[1, 8]).input("z", &[1, 8]).qdq("x", "a", 0.1, 0).qdq("z", "b", 0.1, 0);
    let m = m.node("Div", &["a", "b"], &["d"], &[]).qdq("d", "y", 0.1, 0).output("y");
    let graph = m.graph();
    assert_eq!(
        names(&graph),
        ["quantize", "quantize", "dequantize", "dequantize", "div", "quantize", "dequantize"]
    );
    // A layer without a quantized output keeps real weights.
    let graph = convolution().output("c").graph();
    let conv = find(&graph, "conv");
    assert!(conv.inputs[1..].iter().all(|&id| graph.tensor(id).dtype == DType::F32));
}

#[test]
fn attention_pools_and_norms() {
    let m = model(17)
        .input("x", &[1, 4, 8])
        .weights("g", &[8])
        .qdq("x", "a", 0.05, 2)
        .node("LayerNormalization", &["a", "g"], &["n"], &[float("epsilon", 1e-6)])
        .qdq("n", "nd", 0.04, 0)
        .node("Transpose", &["nd"], &["t"], &[ints("perm", &[0, 2, 1])])
        .qdq("t", "td", 0.04, 0)
        .node("MatMul", &["nd", "td"], &["m"], &[])
        .qdq("m", "md", 0.1, 0)
        .node("Softmax", &["md"], &["s"], &[])
        .qdq("s", "sd", 1.0 / 255.0, -128)
        .node("ReduceMean", &["sd"], &["r"], &[ints("axes", &[2])])
        .qdq("r", "y", 0.01, -128)
        .output("y");
    assert_eq!(
        names(&m.graph()),
        ["quantize", "layer_norm", "matmul", "softmax", "requantize", "mean", "dequantize"]
    );
}

#[test]
fn integers_give_what_reals_between_roundings_give() {
    let m = convolution()
        .node("Clip", &["c", "", "six"], &["r"], &[])
        .scale("six", 6.0)
        .qdq("r", "rd", 0.05, -20)
        .quantized_weights("v", &[4, 4, 1, 1])
        .node("Conv", &["rd", "v_dq"], &["k"], &[text("auto_pad", "VALID")])
        .qdq("k", "kd", 0.2, 4)
        .node("Add", &["kd", "rd"], &["s"], &[])
        .qdq("s", "y", 0.25, 0)
        .output("y");
    let integer = m.graph();
    assert!(names(&integer).starts_with(&["quantize", "conv", "conv", "add"]));
    let real = super::files::without_fusion(&m.bytes(), &m.options);
    let x: Vec<f32> = (0..72).map(|i| ((i * 37 % 101) as f32 - 50.0) * 0.1).collect();
    let run = |graph: &Graph| {
        let y = eval::evaluate(graph, &[Data::F32(x.clone().into())]).unwrap_or_else(|e| panic!("{e}"));
        y[0].to_f32()
    };
    let (a, b) = (run(&integer), run(&real));
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?}\n{b:?}");
}
