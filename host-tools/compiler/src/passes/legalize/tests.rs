use super::*;
use crate::graph::{Data, PoolKind, ReduceFn, Tensor, TensorId};
use crate::passes::testing::{Build, check};

/// Names of the operators that are left of a network on `[1, 4, 4, 3]`, after rewriting and folding.
fn names(body: impl FnOnce(&mut Build, TensorId) -> TensorId) -> Vec<&'static str> {
    let mut b = Build::new();
    let x = b.input(&[1, 4, 4, 3]);
    let y = body(&mut b, x);
    let graph = check(b.finish(&[y]), |graph| {
        for _ in 0..3 {
            run(graph);
            crate::passes::fold::run(graph);
        }
        run(graph)
    });
    graph.nodes.iter().map(|node| node.op.name()).collect()
}

#[test]
fn arithmetic_with_constants() {
    let list = names(|b, x| {
        let c = b.constant(&[3], 1);
        let x = b.binary(BinaryFn::Div, x, c);
        let x = b.binary(BinaryFn::Sub, x, c);
        let x = b.unary(UnaryFn::Exp, x);
        let x = b.with_scalar(BinaryFn::Pow, x, 0.5);
        let x = b.with_scalar(BinaryFn::Pow, x, 2.0);
        let x = b.binary(BinaryFn::Mul, x, x);
        let x = b.with_scalar(BinaryFn::Pow, x, 1.0);
        b.with_scalar(BinaryFn::Pow, x, -0.5)
    });
    assert_eq!(list, ["mul", "add", "exp", "sqrt", "square", "square", "rsqrt"]);
}

#[test]
fn constants_first_only_where_order_matters() {
    let list = names(|b, x| {
        let c = b.constant(&[3], 1);
        let x = b.binary(BinaryFn::Add, c, x);
        let x = b.unary(UnaryFn::Exp, x);
        let x = b.binary(BinaryFn::Sub, c, x);
        b.binary(BinaryFn::Div, c, x)
    });
    assert_eq!(list, ["add", "exp", "sub", "div"]);
}

#[test]
fn clamps() {
    let list = names(|b, x| {
        let x = b.with_scalar(BinaryFn::Max, x, 0.0);
        let x = b.with_scalar(BinaryFn::Min, x, 6.0);
        let x = b.unary(UnaryFn::Tanh, x);
        let x = b.unary(UnaryFn::Clip { min: 0.0, max: f32::INFINITY }, x);
        let slope = b.filled(&[3], 0.25);
        let y = b.activation(&[1, 4, 4, 3]);
        b.push(Op::Prelu, &[x, slope], y)
    });
    assert_eq!(list, ["relu6", "tanh", "relu", "leaky_relu"]);
}

#[test]
fn a_clamp_with_a_second_reader_stays() {
    let list = names(|b, x| {
        let x = b.unary(UnaryFn::Relu, x);
        let y = b.with_scalar(BinaryFn::Min, x, 1.0);
        b.binary(BinaryFn::Add, x, y)
    });
    assert_eq!(list, ["relu", "clip", "add"]);
}

#[test]
fn products_and_pixels_become_dense() {
    let list = names(|b, x| {
        let w = b.weights(&[3, 5], 1);
        let x = b.matmul(x, w);
        let x = b.pool(x, PoolKind::Average { include_padding: false }, 4, 1, 0);
        b.conv(x, 2, 1, 1, 3)
    });
    assert_eq!(list, ["dense", "mean", "dense"]);
}

#[test]
fn reductions_are_canonical() {
    let list = names(|b, x| {
        let x = b.reduce(ReduceFn::Mean, x, &[2], false);
        let x = b.reduce(ReduceFn::Mean, x, &[1], false);
        b.reduce(ReduceFn::Sum, x, &[0], false)
    });
    assert_eq!(list, ["mean", "reshape"]);
    let list = names(|b, x| {
        let x = b.reduce(ReduceFn::Max, x, &[2], true);
        b.reduce(ReduceFn::Mean, x, &[1, 2], true)
    });
    assert_eq!(list, ["reduce_max", "mean"]);
}

#[test]
fn gathers_of_neighbours_are_slices() {
    let gather = |shape: &'static [usize], indices: &'static [i64], result: &'static [usize]| {
        names(|b, x| {
            let i = Tensor::constant("i", shape.to_vec(), Data::I64(indices.into()));
            let i = b.graph.add_tensor(i);
            let y = b.activation(result);
            b.push(Op::Gather { axis: 2 }, &[x, i], y)
        })
    };
    assert_eq!(gather(&[2], &[-3, 3], &[1, 4, 2, 3]), ["slice"]);
    assert_eq!(gather(&[], &[2], &[1, 4, 3]), ["slice", "reshape"]);
    assert_eq!(gather(&[3], &[0, 1, 3], &[1, 4, 3, 3]), ["gather"]);
}

#[test]
fn softmax_moves_to_the_last_axis() {
    let mut b = Build::new();
    let x = b.input(&[1, 4, 4, 3]);
    let x = b.softmax(x, 2);
    let y = b.softmax(x, 3);
    let graph = check(b.finish(&[y]), finish);
    let list: Vec<_> = graph.nodes.iter().map(|node| node.op.name()).collect();
    assert_eq!(list, ["transpose", "softmax", "transpose", "softmax"]);
}

#[test]
fn quantized_arithmetic_stays() {
    let mut b = Build::new();
    let x = b.quantized_input(&[1, 1, 1, 3], 0.1, 0);
    let y = b.quantized(&[1, 1, 1, 3], 0.1, 0);
    b.push(Op::Binary(BinaryFn::Mul), &[x, x], y);
    let z = b.quantized(&[1, 1, 1, 3], 0.1, 0);
    b.push(Op::Reduce { function: ReduceFn::Mean, axes: vec![1, 2], keep_dims: true }, &[y], z);
    let mut graph = b.finish(&[z]);
    assert!(run(&mut graph).is_empty());
}
