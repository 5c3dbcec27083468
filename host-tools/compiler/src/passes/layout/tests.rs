use super::*;
use crate::graph::{BinaryFn, Data, PoolKind, ReduceFn, UnaryFn};
use crate::passes::testing::{Build, Random, check, check_with, count};
use crate::passes::{fold, share};

const TO_FIRST: [usize; 4] = [0, 3, 1, 2];
const TO_LAST: [usize; 4] = [0, 2, 3, 1];

/// Runs layout and folding until nothing changes.
fn settle(graph: &mut Graph) {
    for round in 0.. {
        let changed = !run(graph).is_empty() | !fold::run(graph).is_empty() | !share::run(graph).is_empty();
        graph.validate().unwrap();
        if !changed {
            return;
        }
        assert!(round < 50, "layout does not come to rest");
    }
}

fn settled(mut graph: Graph) -> Graph {
    check_with(&mut graph, settle);
    graph
}

/// A graph that has `body` between a channels-last input and output, written channel-first.
fn channel_first(shape: &[usize], body: impl FnOnce(&mut Build, TensorId) -> TensorId) -> Graph {
    let mut b = Build::new();
    let x = b.input(shape);
    let t = b.transpose(x, &TO_FIRST);
    let y = body(&mut b, t);
    let y = b.transpose(y, &TO_LAST);
    b.finish(&[y])
}

#[test]
fn residual_network_keeps_no_transpose() {
    let graph = settled(channel_first(&[1, 6, 6, 3], |b, x| {
        let x = b.channels_last(x, |b, x| b.conv(x, 4, 3, 2, 1));
        let x = b.channels_last(x, |b, x| b.batch_norm(x, 3));
        let x = b.unary(UnaryFn::Relu, x);
        let h = b.channels_last(x, |b, x| b.conv(x, 0, 3, 1, 5));
        let c = b.constant(&[4, 1, 1], 9);
        let h = b.binary(BinaryFn::Mul, c, h);
        // Squeeze and excite.
        let s = b.reduce(ReduceFn::Mean, h, &[2, 3], true);
        let s = b.channels_last(s, |b, x| b.conv(x, 2, 1, 1, 7));
        let s = b.unary(UnaryFn::Relu, s);
        let s = b.channels_last(s, |b, x| b.conv(x, 4, 1, 1, 8));
        let s = b.unary(UnaryFn::Sigmoid, s);
        let h = b.binary(BinaryFn::Mul, h, s);
        let x = b.binary(BinaryFn::Add, x, h);
        b.channels_last(x, |b, x| b.pool(x, PoolKind::Max, 3, 2, 1))
    }));
    assert_eq!((count(&graph, "transpose"), count(&graph, "reshape")), (0, 0));
}

#[test]
fn every_indifferent_operator_lets_transposes_pass() {
    let graph = settled(channel_first(&[1, 4, 6, 5], |b, x| {
        let p = b.pad(x, &[(0, 0), (1, 0), (0, 2), (3, 0)], 0.25);
        let s = b.slice(p, &[0, 1, 0, 2], &[1, 2, 1, 3], &[1, 3, 6, 3]);
        let parts = [s, s];
        let c = b.concat(&parts, 1);
        let m = b.reduce(ReduceFn::Max, c, &[3], true);
        let c = b.binary(BinaryFn::Sub, c, m);
        let indices =
            b.graph.add_tensor(crate::graph::Tensor::constant("i", vec![2], Data::I64([3, 0].into())));
        let g = b.activation(&[1, 2, 6, 3]);
        b.push(Op::Gather { axis: 1 }, &[c, indices], g);
        b.softmax(g, 1)
    }));
    assert_eq!(count(&graph, "transpose"), 0);
    assert!(graph.nodes.iter().any(|node| node.op == Op::Softmax { axis: 3, beta: 1.0 }));
}

#[test]
fn tokens_of_channels_last_data_are_a_reshape() {
    let mut b = Build::new();
    let x = b.input(&[1, 4, 4, 6]);
    let x = b.transpose(x, &TO_FIRST);
    let flat = b.reshape(x, &[1, 6, 16]);
    let tokens = b.transpose(flat, &[0, 2, 1]);
    let y = b.dense(tokens, 3, 1);
    let graph = settled(b.finish(&[y]));
    assert_eq!((count(&graph, "transpose"), count(&graph, "reshape"), graph.nodes.len()), (0, 1, 2));
}

#[test]
fn convolutional_attention_keeps_one_transpose_per_operand() {
    let graph = settled(channel_first(&[1, 3, 3, 8], |b, x| {
        let heads = |b: &mut Build, x, seed| {
            let y = b.channels_last(x, |b, x| b.conv(x, 8, 1, 1, seed));
            b.reshape(y, &[1, 2, 4, 9])
        };
        let q = heads(b, x, 1);
        let q = b.transpose(q, &[0, 1, 3, 2]);
        let k = heads(b, x, 3);
        let v = heads(b, x, 5);
        let v = b.transpose(v, &[0, 1, 3, 2]);
        let scores = b.matmul(q, k);
        let scores = b.softmax(scores, 3);
        let mixed = b.matmul(scores, v);
        let mixed = b.transpose(mixed, &[0, 1, 3, 2]);
        let mixed = b.reshape(mixed, &[1, 8, 3, 3]);
        let mixed = b.unary(UnaryFn::Tanh, mixed);
        let out = b.channels_last(mixed, |b, x| b.conv(x, 8, 1, 1, 9));
        b.binary(BinaryFn::Add, x, out)
    }));
    assert_eq!(count(&graph, "transpose"), 4);
    let products: Vec<_> = graph.nodes.iter().filter(|node| node.op.name() == "matmul").collect();
    assert_eq!(products[0].op, Op::MatMul { transpose_a: false, transpose_b: true });
}

#[test]
fn unit_axes_move_for_free() {
    let mut b = Build::new();
    let x = b.input(&[1, 4, 4, 6]);
    let x = b.transpose(x, &TO_FIRST);
    let m = b.reduce(ReduceFn::Mean, x, &[2, 3], true);
    let m = b.reshape(m, &[1, 6]);
    let s = b.dense(m, 6, 1);
    let s = b.reshape(s, &[1, 6, 1, 1]);
    let y = b.binary(BinaryFn::Mul, x, s);
    let y = b.transpose(y, &TO_LAST);
    let graph = settled(b.finish(&[y]));
    assert_eq!(count(&graph, "transpose"), 0);
}

#[test]
fn flattening_before_dense_reorders_the_weights() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 4, 5]);
    let t = b.transpose(x, &TO_FIRST);
    let flat = b.reshape(t, &[1, 60]);
    let y = b.dense(flat, 7, 1);
    assert_eq!(count(&settled(b.finish(&[y])), "transpose"), 0);
}

#[test]
fn softmax_never_leaves_the_last_axis() {
    let mut b = Build::new();
    let x = b.input(&[1, 3, 4, 5]);
    let t = b.transpose(x, &[0, 3, 1, 2]);
    let y = b.softmax(t, 3);
    let graph = settled(b.finish(&[y]));
    assert_eq!(graph.nodes[1].op, Op::Softmax { axis: 3, beta: 1.0 });
}

#[test]
fn a_transpose_that_requantizes_stays() {
    let mut b = Build::new();
    let x = b.quantized_input(&[2, 3], 0.5, 0);
    let t = b.quantized(&[3, 2], 0.25, 0);
    b.push(Op::Transpose { perm: vec![1, 0] }, &[x], t);
    let y = b.quantized(&[2, 3], 0.25, 0);
    b.push(Op::Transpose { perm: vec![1, 0] }, &[t], y);
    assert_eq!(settled(b.finish(&[y])).nodes.len(), 2);
}

#[test]
fn quantized_transposes_cancel_exactly() {
    let mut b = Build::new();
    let x = b.quantized_input(&[1, 2, 3, 4], 0.5, 3);
    let t = b.quantized(&[1, 4, 2, 3], 0.5, 3);
    b.push(Op::Transpose { perm: TO_FIRST.to_vec() }, &[x], t);
    let r = b.quantized(&[1, 4, 2, 3], 0.25, -1);
    b.push(Op::Unary(UnaryFn::Sigmoid), &[t], r);
    let y = b.quantized(&[1, 2, 3, 4], 0.25, -1);
    b.push(Op::Transpose { perm: TO_LAST.to_vec() }, &[r], y);
    let graph = settled(b.finish(&[y]));
    assert_eq!((graph.nodes.len(), graph.nodes[0].op.name()), (1, "sigmoid"));
}

/// Random chains of shape operators and elementwise ones keep their meaning, and come to rest.
#[test]
fn random_graphs_agree() {
    for seed in 1..200 {
        let mut random = Random(seed);
        let mut b = Build::new();
        let mut pool = vec![b.input(&[1, 2, 3, 4])];
        for step in 0..14 {
            let x = pool[random.below(pool.len())];
            let shape = b.shape(x);
            let rank = shape.len();
            let next = match random.below(9) {
                0..3 => {
                    let mut perm: Vec<usize> = (0..rank).collect();
                    (1..rank).for_each(|i| perm.swap(i, random.below(i + 1)));
                    b.transpose(x, &perm)
                }
                3 => b.unary(UnaryFn::Tanh, x),
                4 => {
                    let axis = random.below(rank);
                    let mut own = vec![1; rank];
                    own[axis] = shape[axis];
                    let c = b.constant(&own[random.below(axis + 1)..], step);
                    b.binary(BinaryFn::Mul, x, c)
                }
                5 => {
                    let same: Vec<TensorId> = pool.iter().copied().filter(|&y| b.shape(y) == shape).collect();
                    let other = same[random.below(same.len())];
                    b.binary(BinaryFn::Sub, x, other)
                }
                6 => {
                    let choices: [&[usize]; 6] =
                        [&[1, 2, 3, 4], &[6, 4], &[2, 12], &[1, 4, 6], &[4, 1, 3, 2], &[24]];
                    let to = choices[random.below(choices.len())];
                    if shape.iter().product::<usize>() != 24 {
                        continue;
                    }
                    b.reshape(x, to)
                }
                7 => b.reduce(ReduceFn::Mean, x, &[random.below(rank)], true),
                _ if rank < 4 && shape.iter().product::<usize>() < 100 => {
                    b.concat(&[x, x], random.below(rank))
                }
                _ => b.softmax(x, random.below(rank)),
            };
            pool.push(next);
        }
        let outputs = [pool[pool.len() - 1], pool[pool.len() - 2]];
        let outputs = if outputs.contains(&pool[0]) { &outputs[..1] } else { &outputs[..] };
        if outputs[0] == pool[0] {
            continue;
        }
        let mut graph = b.finish(outputs);
        check_with(&mut graph, settle);
    }
}

#[test]
fn merging_counts() {
    let mut b = Build::new();
    let x = b.input(&[2, 3, 4]);
    let t = b.transpose(x, &[1, 0, 2]);
    let y = b.transpose(t, &[0, 2, 1]);
    let graph = check(b.finish(&[y]), run);
    assert_eq!(graph.nodes.len(), 1);
    assert_eq!(graph.nodes[0].op, Op::Transpose { perm: vec![1, 2, 0] });
}
