use super::*;
use crate::graph::{Attention, BinaryFn::*, HeadLayout, ReduceFn, UnaryFn};
use crate::passes::testing::{Build, check};

/// Builds `spelling` on an input and expects that one node of this operator is left.
fn expect(name: &str, spelling: impl FnOnce(&mut Build, TensorId) -> TensorId) {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 4]);
    let y = spelling(&mut b, x);
    let graph = check(b.finish(&[y]), |graph| {
        run(graph);
        run(graph)
    });
    let names: Vec<_> = graph.nodes.iter().map(|node| node.op.name()).collect();
    assert_eq!(names, [name]);
}

/// Builds `spelling` and expects that nothing is recognised.
fn reject(spelling: impl FnOnce(&mut Build, TensorId) -> Vec<TensorId>) {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 4]);
    let outputs = spelling(&mut b, x);
    let mut graph = b.finish(&outputs);
    assert!(run(&mut graph).is_empty());
}

fn erf_gate(b: &mut Build, x: TensorId) -> TensorId {
    let u = b.with_scalar(Div, x, std::f32::consts::SQRT_2);
    let e = b.unary(UnaryFn::Erf, u);
    b.with_scalar(Add, e, 1.0)
}

fn tanh_gate(b: &mut Build, w: TensorId) -> TensorId {
    let w = b.with_scalar(Mul, w, 0.797_884_6);
    let t = b.unary(UnaryFn::Tanh, w);
    let one = b.scalar(1.0);
    b.binary(Add, one, t)
}

fn cube(b: &mut Build, x: TensorId) -> TensorId {
    b.with_scalar(Pow, x, 3.0)
}

#[test]
fn gelu_by_erf_in_all_associations() {
    expect("gelu", |b, x| {
        let g = erf_gate(b, x);
        let y = b.binary(Mul, x, g);
        b.with_scalar(Mul, y, 0.5)
    });
    expect("gelu", |b, x| {
        let h = b.with_scalar(Mul, x, 0.5);
        let g = erf_gate(b, x);
        b.binary(Mul, h, g)
    });
    expect("gelu", |b, x| {
        let g = erf_gate(b, x);
        let g = b.with_scalar(Mul, g, 0.5);
        b.binary(Mul, g, x)
    });
    expect("gelu", |b, x| {
        let g = erf_gate(b, x);
        let y = b.binary(Mul, g, x);
        b.with_scalar(Div, y, 2.0)
    });
    expect("gelu", |b, x| {
        // 0.5 + 0.5 * erf(0.7071068 x), constants first.
        let k = b.scalar(std::f32::consts::FRAC_1_SQRT_2);
        let u = b.binary(Mul, k, x);
        let e = b.unary(UnaryFn::Erf, u);
        let half = b.scalar(0.5);
        let e = b.binary(Mul, half, e);
        let g = b.binary(Add, half, e);
        b.binary(Mul, x, g)
    });
}

#[test]
fn gelu_distributed() {
    expect("gelu", |b, x| {
        let u = b.with_scalar(Mul, x, std::f32::consts::FRAC_1_SQRT_2);
        let e = b.unary(UnaryFn::Erf, u);
        let p = b.with_scalar(Mul, x, 0.5);
        let q = b.binary(Mul, x, e);
        let q = b.with_scalar(Mul, q, 0.5);
        b.binary(Add, p, q)
    });
}

#[test]
fn gelu_by_tanh() {
    expect("gelu", |b, x| {
        let c = cube(b, x);
        let c = b.with_scalar(Mul, c, 0.044715);
        let w = b.binary(Add, x, c);
        let g = tanh_gate(b, w);
        let h = b.with_scalar(Mul, x, 0.5);
        b.binary(Mul, h, g)
    });
    expect("gelu", |b, x| {
        let s = b.binary(Mul, x, x);
        let c = b.binary(Mul, s, x);
        let c = b.with_scalar(Mul, c, 0.044715);
        let w = b.binary(Add, c, x);
        let g = tanh_gate(b, w);
        let y = b.binary(Mul, x, g);
        b.with_scalar(Mul, y, 0.5)
    });
    expect("gelu", |b, x| {
        // x * (1 + 0.044715 x^2).
        let s = b.unary(UnaryFn::Square, x);
        let s = b.with_scalar(Mul, s, 0.044715);
        let s = b.with_scalar(Add, s, 1.0);
        let w = b.binary(Mul, x, s);
        let g = tanh_gate(b, w);
        let y = b.binary(Mul, x, g);
        b.with_scalar(Mul, y, 0.5)
    });
    expect("gelu", |b, x| {
        let c = cube(b, x);
        let c = b.with_scalar(Mul, c, 0.044715);
        let w = b.binary(Add, x, c);
        let w = b.with_scalar(Mul, w, 1.595_769);
        let s = b.unary(UnaryFn::Sigmoid, w);
        b.binary(Mul, x, s)
    });
}

#[test]
fn swish_and_sigmoid() {
    expect("swish", |b, x| {
        let s = b.unary(UnaryFn::Sigmoid, x);
        b.binary(Mul, s, x)
    });
    expect("sigmoid", |b, x| {
        let n = b.unary(UnaryFn::Neg, x);
        let e = b.unary(UnaryFn::Exp, n);
        let d = b.with_scalar(Add, e, 1.0);
        let one = b.scalar(1.0);
        b.binary(Div, one, d)
    });
    expect("swish", |b, x| {
        let n = b.with_scalar(Mul, x, -1.0);
        let e = b.unary(UnaryFn::Exp, n);
        let d = b.with_scalar(Add, e, 1.0);
        b.binary(Div, x, d)
    });
}

#[test]
fn hard_functions() {
    let relu6 = |b: &mut Build, x| {
        let s = b.with_scalar(Add, x, 3.0);
        b.unary(UnaryFn::Relu6, s)
    };
    expect("hard_sigmoid", |b, x| {
        let r = relu6(b, x);
        b.with_scalar(Div, r, 6.0)
    });
    expect("hard_sigmoid", |b, x| {
        let s = b.with_scalar(Mul, x, 0.2);
        let s = b.with_scalar(Add, s, 0.5);
        b.unary(UnaryFn::Clip { min: 0.0, max: 1.0 }, s)
    });
    expect("hard_swish", |b, x| {
        let r = relu6(b, x);
        let r = b.with_scalar(Mul, r, 1.0 / 6.0);
        b.binary(Mul, x, r)
    });
    expect("hard_swish", |b, x| {
        let r = relu6(b, x);
        let y = b.binary(Mul, r, x);
        b.with_scalar(Div, y, 6.0)
    });
    expect("hard_swish", |b, x| {
        let s = b.unary(UnaryFn::HardSigmoid { slope: 1.0 / 6.0, offset: 0.5 }, x);
        b.binary(Mul, s, x)
    });
    expect("hard_swish", |b, x| {
        let s = b.with_scalar(Add, x, 3.0);
        let r = b.unary(UnaryFn::Clip { min: 0.0, max: 6.0 }, s);
        let sixth = b.scalar(1.0 / 6.0);
        let h = b.binary(Mul, sixth, x);
        b.binary(Mul, h, r)
    });
}

#[test]
fn softplus_and_mish() {
    let softplus = |b: &mut Build, x| {
        let e = b.unary(UnaryFn::Exp, x);
        let s = b.with_scalar(Add, e, 1.0);
        b.unary(UnaryFn::Log, s)
    };
    expect("softplus", softplus);
    expect("mish", |b, x| {
        let s = softplus(b, x);
        let t = b.unary(UnaryFn::Tanh, s);
        b.binary(Mul, x, t)
    });
}

/// `variance + epsilon` of the last axis, and the difference from the mean.
fn moments(b: &mut Build, x: TensorId, square: fn(&mut Build, TensorId) -> TensorId) -> (TensorId, TensorId) {
    let m = b.reduce(ReduceFn::Mean, x, &[2], true);
    let d = b.binary(Sub, x, m);
    let s = square(b, d);
    let v = b.reduce(ReduceFn::Mean, s, &[2], true);
    (d, b.with_scalar(Add, v, 1e-3))
}

#[test]
fn layer_norm_spellings() {
    let squares: [fn(&mut Build, TensorId) -> TensorId; 3] =
        [|b, d| b.unary(UnaryFn::Square, d), |b, d| b.binary(Mul, d, d), |b, d| b.with_scalar(Pow, d, 2.0)];
    for square in squares {
        expect("layer_norm", |b, x| {
            let (d, v) = moments(b, x, square);
            let s = b.unary(UnaryFn::Sqrt, v);
            b.binary(Div, d, s)
        });
        expect("layer_norm", |b, x| {
            let (d, v) = moments(b, x, square);
            let s = b.with_scalar(Pow, v, 0.5);
            let r = b.unary(UnaryFn::Reciprocal, s);
            b.binary(Mul, r, d)
        });
        expect("layer_norm", |b, x| {
            let (d, v) = moments(b, x, square);
            let r = b.unary(UnaryFn::Rsqrt, v);
            b.binary(Mul, d, r)
        });
    }
    expect("layer_norm", |b, x| {
        let m = b.reduce(ReduceFn::Mean, x, &[2], true);
        let s = b.binary(SquaredDifference, x, m);
        let v = b.reduce(ReduceFn::Mean, s, &[2], true);
        let v = b.with_scalar(Add, v, 1e-3);
        let r = b.unary(UnaryFn::Rsqrt, v);
        let gamma = b.constant(&[4], 1);
        let beta = b.constant(&[4], 2);
        let g = b.binary(Mul, r, gamma);
        let p = b.binary(Mul, x, g);
        let q = b.binary(Mul, m, g);
        let q = b.binary(Sub, beta, q);
        b.binary(Add, p, q)
    });
}

#[test]
fn norm_over_other_axes_stays() {
    reject(|b, x| {
        let m = b.reduce(ReduceFn::Mean, x, &[1], true);
        let d = b.binary(Sub, x, m);
        let s = b.unary(UnaryFn::Square, d);
        let v = b.reduce(ReduceFn::Mean, s, &[1], true);
        let v = b.with_scalar(Add, v, 1e-3);
        let s = b.unary(UnaryFn::Sqrt, v);
        vec![b.binary(Div, d, s)]
    });
}

#[test]
fn second_readers_and_outputs_inside_stay() {
    reject(|b, x| {
        let s = b.unary(UnaryFn::Sigmoid, x);
        let y = b.binary(Mul, x, s);
        vec![b.binary(Add, y, s)]
    });
    reject(|b, x| {
        let g = erf_gate(b, x);
        let y = b.binary(Mul, x, g);
        vec![b.with_scalar(Mul, y, 0.5), g]
    });
}

#[test]
fn near_misses_stay() {
    reject(|b, x| {
        let u = b.with_scalar(Mul, x, 1.702);
        let s = b.unary(UnaryFn::Sigmoid, u);
        vec![b.binary(Mul, x, s)]
    });
    reject(|b, x| {
        let g = erf_gate(b, x);
        vec![b.binary(Mul, x, g)]
    });
    reject(|b, x| {
        // The gate of another tensor.
        let z = b.unary(UnaryFn::Abs, x);
        let s = b.unary(UnaryFn::Sigmoid, z);
        vec![b.binary(Mul, x, s)]
    });
}

#[test]
fn quantized_spellings_stay() {
    let mut b = Build::new();
    let x = b.quantized_input(&[4], 0.1, 0);
    let s = b.quantized(&[4], 1.0 / 256.0, -128);
    b.push(Op::Unary(UnaryFn::Sigmoid), &[x], s);
    let y = b.quantized(&[4], 0.1, 0);
    b.push(Op::Binary(Mul), &[x, s], y);
    let mut graph = b.finish(&[y]);
    assert!(run(&mut graph).is_empty());
}

/// Projections of `[1, tokens, 12]` to heads of queries, keys and values, and what becomes of the vectors.
struct Spelling {
    heads: usize,
    asking: usize,
    tokens: usize,
}

impl Spelling {
    const MANY: Spelling = Spelling { heads: 3, asking: 5, tokens: 5 };

    /// `[1, heads, n, 4]`.
    fn split(&self, b: &mut Build, x: TensorId, seed: u64) -> TensorId {
        let x = b.dense(x, 4 * self.heads, seed);
        let n = b.shape(x)[1];
        let x = b.reshape(x, &[1, n, self.heads, 4]);
        b.transpose(x, &[0, 2, 1, 3])
    }

    fn swapped(b: &mut Build, x: TensorId) -> TensorId {
        b.transpose(x, &[0, 1, 3, 2])
    }

    /// Back to `[1, n, heads * 4]`.
    fn joined(&self, b: &mut Build, x: TensorId) -> TensorId {
        let x = b.transpose(x, &[0, 2, 1, 3]);
        b.reshape(x, &[1, self.asking, self.heads * 4])
    }

    /// Everything but the scores, which `scores` makes of `q` and transposed `k`.
    fn build(&self, scores: impl FnOnce(&mut Build, TensorId, TensorId) -> TensorId) -> Graph {
        let mut b = Build::new();
        let x = b.input(&[1, self.tokens, 12]);
        let q = b.slice(x, &[0, self.tokens - self.asking, 0], &[1, 1, 1], &[1, self.asking, 12]);
        let (q, k, v) = (self.split(&mut b, q, 1), self.split(&mut b, x, 2), self.split(&mut b, x, 3));
        let k = Self::swapped(&mut b, k);
        let scores = scores(&mut b, q, k);
        let weights = b.softmax(scores, 3);
        let mixed = b.matmul(weights, v);
        let y = self.joined(&mut b, mixed);
        b.finish(&[y])
    }
}

/// The attention that is left of a graph after all passes, which compute the same.
fn attention_in(graph: Graph, nodes: usize) -> Attention {
    let graph = check(graph, |graph| {
        crate::passes::optimize(graph);
        crate::passes::Changes::new("all")
    });
    let names: Vec<_> = graph.nodes.iter().map(|node| node.op.name()).collect();
    assert_eq!(graph.nodes.len(), nodes, "{names:?}");
    let found = graph.nodes.iter().find_map(|node| match node.op {
        Op::Attention(attention) => Some(attention),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{names:?}"))
}

#[test]
fn attention_with_scales_and_biases_anywhere() {
    for spelling in [Spelling::MANY, Spelling { heads: 2, asking: 1, tokens: 7 }] {
        let crop = usize::from(spelling.asking != spelling.tokens);
        let Spelling { heads, asking, tokens } = spelling;
        let found = attention_in(spelling.build(|b, q, k| b.matmul(q, k)), 4 + crop);
        assert_eq!((found.heads, found.scale), (heads, 1.0));
        assert_eq!(found.query, HeadLayout { offset: 0, stride: 4, depth: 4 });

        let graph = spelling.build(|b, q, k| {
            let scores = b.matmul(q, k);
            let scores = b.with_scalar(Div, scores, 2.0);
            let bias = b.constant(&[heads, asking, tokens], 5);
            b.binary(Add, scores, bias)
        });
        assert_eq!(attention_in(graph, 4 + crop).scale, 0.5);

        let graph = spelling.build(|b, q, k| {
            let q = b.with_scalar(Mul, q, 0.25);
            let k = b.with_scalar(Mul, k, 0.5);
            let scores = b.matmul(q, k);
            let bias = b.constant(&[asking, tokens], 5);
            let scores = b.binary(Add, bias, scores);
            b.with_scalar(Mul, scores, 3.0)
        });
        assert_eq!(attention_in(graph, 4 + crop).scale, 0.375);
    }
}

/// One layer for all three, its columns sorted by head, or by what they are for.
#[test]
fn attention_in_one_tensor() {
    for by_head in [true, false] {
        let mut b = Build::new();
        let x = b.input(&[1, 5, 12]);
        let all = b.dense(x, 36, 1);
        let (shape, perm) =
            if by_head { ([1, 5, 3, 12], [0, 2, 1, 3]) } else { ([1, 5, 9, 4], [0, 2, 1, 3]) };
        let all = b.reshape(all, &shape);
        let all = b.transpose(all, &perm);
        let part = |b: &mut Build, i: usize| match by_head {
            true => b.slice(all, &[0, 0, 0, 4 * i], &[1; 4], &[1, 3, 5, 4]),
            false => b.slice(all, &[0, 3 * i, 0, 0], &[1; 4], &[1, 3, 5, 4]),
        };
        let (q, k, v) = (part(&mut b, 0), part(&mut b, 1), part(&mut b, 2));
        let k = Spelling::swapped(&mut b, k);
        let scores = b.matmul(q, k);
        let weights = b.softmax(scores, 3);
        let mixed = b.matmul(weights, v);
        let y = Spelling::MANY.joined(&mut b, mixed);
        let found = attention_in(b.finish(&[y]), 2);
        let stride = if by_head { 12 } else { 4 };
        let offsets = if by_head { [0, 4, 8] } else { [0, 12, 24] };
        let layouts = offsets.map(|offset| HeadLayout { offset, stride, depth: 4 });
        assert_eq!([found.query, found.key, found.value], layouts);
    }
}

/// All heads share keys and values: the same vector for each.
#[test]
fn attention_with_shared_keys() {
    let mut b = Build::new();
    let x = b.input(&[1, 5, 12]);
    let q = Spelling::MANY.split(&mut b, x, 1);
    let (k, v) = (b.dense(x, 4, 2), b.dense(x, 4, 3));
    let (k, v) = (b.reshape(k, &[1, 1, 5, 4]), b.reshape(v, &[1, 1, 5, 4]));
    let k = Spelling::swapped(&mut b, k);
    let scores = b.matmul(q, k);
    let weights = b.softmax(scores, 3);
    let mixed = b.matmul(weights, v);
    let y = Spelling::MANY.joined(&mut b, mixed);
    let found = attention_in(b.finish(&[y]), 4);
    assert_eq!((found.key.stride, found.value.stride, found.query.stride), (0, 0, 4));
}

#[test]
fn other_products_of_a_softmax_stay() {
    let spelling = Spelling::MANY;
    let left = |graph: Graph| {
        let mut graph = graph;
        crate::passes::optimize(&mut graph);
        assert!(!graph.nodes.iter().any(|node| matches!(node.op, Op::Attention(_))));
    };
    // A negative scale, a computed bias, weights that somebody else reads, heads that mix.
    left(spelling.build(|b, q, k| {
        let scores = b.matmul(q, k);
        b.with_scalar(Mul, scores, -0.5)
    }));
    left(spelling.build(|b, q, k| {
        let scores = b.matmul(q, k);
        let bias = b.unary(UnaryFn::Tanh, scores);
        b.binary(Add, scores, bias)
    }));
    left(spelling.build(|b, q, k| {
        let scores = b.matmul(q, k);
        let (last, first) = (b.transpose(scores, &[0, 2, 3, 1]), b.constant(&[3, 3], 6));
        let mixed = b.matmul(last, first);
        b.transpose(mixed, &[0, 3, 1, 2])
    }));
    let mut graph = spelling.build(|b, q, k| b.matmul(q, k));
    let weights = graph.nodes.iter().find(|node| matches!(node.op, Op::Softmax { .. })).unwrap().outputs[0];
    graph.outputs.push(weights);
    left(graph);
}
