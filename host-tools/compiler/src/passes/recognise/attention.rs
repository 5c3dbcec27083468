//! Multi-head attention written out: products of queries and keys, a softmax, products with the values.
//!
//! How a network splits its heads does not matter, as long as each vector of a head is a piece of one vector of some
//! tensor: the elements that the products read are followed back through everything that only moves them. The result
//! needs neither the transposed operands nor the scores of all heads in memory, and reads keys and values vector by
//! vector, as a stream delivers them.

use super::matcher::Matcher;
use crate::graph::shape::{aligned, strides};
use crate::graph::{Activation, Attention, BinaryFn, HeadLayout, Node, Op, Tensor, TensorId};
use crate::passes::edit::Editor;

/// What a spelling amounts to.
pub struct Found {
    pub attention: Attention,
    pub operands: [TensorId; 3],
    /// `[heads, queries, keys]`.
    pub bias: Option<Vec<f32>>,
    pub queries: usize,
    pub keys: usize,
}

/// Attention whose product with the values is `root`.
pub fn recognise(editor: &Editor, m: &mut Matcher, root: TensorId) -> Option<Found> {
    let (weights, values) = product(m, root)?;
    if weights.transposed {
        return None;
    }
    let (scores, beta) = softmax(editor, m, weights.id)?;
    let Scores { product: asked, mut scale, bias } = scores_of(editor, m, scores)?;
    let (query, key) = product(m, asked)?;
    let [batch @ .., queries, keys] = editor.shape(scores) else { return None };
    let (heads, queries, keys) = (batch.iter().product::<usize>(), *queries, *keys);
    let depth = editor.tensor(query.id).len() / (heads * queries).max(1);
    let value_depth = *editor.shape(root).last()?;
    let query = vectors(editor, query.id, query.transposed, [heads, queries, depth])?;
    let key = vectors(editor, key.id, !key.transposed, [heads, keys, depth])?;
    let value = vectors(editor, values.id, values.transposed, [heads, keys, value_depth])?;
    if value.factor != 1.0 || heads == 0 {
        return None;
    }
    scale *= query.factor * key.factor * beta;
    let scale = (scale > 0.0 && scale.is_finite()).then_some(scale as f32)?;
    let bias = bias.map(|bias| bias.into_iter().map(|x| (x * beta) as f32).collect());
    let attention = Attention { heads, scale, query: query.layout, key: key.layout, value: value.layout };
    Some(Found { attention, operands: [query.id, key.id, value.id], bias, queries, keys })
}

/// Puts the attention in the place of the product in `slot`.
pub fn replace(editor: &mut Editor, slot: usize, found: Found) -> Option<()> {
    let Found { attention, operands, bias, queries, keys } = found;
    let node = editor.node(slot)?.clone();
    let &root = node.outputs.first()?;
    let (heads, depth) = (attention.heads, attention.value.depth);
    let mut inputs = operands.to_vec();
    if let Some(bias) = bias {
        inputs.push(editor.add_constant(format!("{}.bias", node.name), vec![heads, queries, keys], bias));
    }
    let mut shape = editor.shape(operands[0]).to_vec();
    *shape.last_mut()? = heads * depth;
    let dtype = editor.tensor(root).dtype;
    let result = Tensor::activation(format!("{}.vectors", editor.tensor(root).name), shape, dtype);
    let vectors = editor.emit(&node, Op::Attention(attention), inputs, result);
    // From vectors that hold all heads to the heads one after the other, as the product had them.
    let split = editor.reshaped(&node, vectors, &[1, queries, heads, depth]);
    let by_heads = editor.transposed(&node, split, &[0, 2, 1, 3]);
    editor.rewrite(slot, Op::Reshape, vec![by_heads]);
    Some(())
}

struct Side {
    id: TensorId,
    transposed: bool,
}

fn product(m: &mut Matcher, id: TensorId) -> Option<(Side, Side)> {
    let node = m.take(id)?;
    let (&Op::MatMul { transpose_a, transpose_b }, &[a, b]) = (&node.op, &node.inputs[..]) else {
        return None;
    };
    Some((Side { id: a, transposed: transpose_a }, Side { id: b, transposed: transpose_b }))
}

/// Operand and factor of a softmax along the last axis.
fn softmax(editor: &Editor, m: &mut Matcher, id: TensorId) -> Option<(TensorId, f64)> {
    let node = m.take(id)?;
    let Op::Softmax { axis, beta } = node.op else { return None };
    (axis + 1 == editor.shape(id).len()).then_some((*node.inputs.first()?, beta.into()))
}

/// `scale * product + bias`.
struct Scores {
    product: TensorId,
    scale: f64,
    bias: Option<Vec<f64>>,
}

/// Takes scales and constant biases off until a product is left.
fn scores_of(editor: &Editor, m: &mut Matcher, id: TensorId) -> Option<Scores> {
    let shape = editor.shape(id);
    let (mut product, mut scale) = (id, 1.0);
    let mut bias: Option<Vec<f64>> = None;
    loop {
        let (_, node) = editor.maker(product)?;
        if editor.shape(product) != shape {
            return None;
        }
        match (&node.op, &node.inputs[..]) {
            (Op::MatMul { .. }, _) => return Some(Scores { product, scale, bias }),
            (Op::Binary(function @ (BinaryFn::Mul | BinaryFn::Div)), &[a, b]) => {
                let (rest, factor) = match (editor.scalar(a), editor.scalar(b)) {
                    (_, Some(c)) => (a, f64::from(c)),
                    (Some(c), None) if *function == BinaryFn::Mul => (b, f64::from(c)),
                    _ => return None,
                };
                m.take(product)?;
                scale *= if *function == BinaryFn::Div { 1.0 / factor } else { factor };
                product = rest;
            }
            (Op::Binary(BinaryFn::Add), &[a, b]) => {
                let (rest, constant) = if editor.tensor(b).is_constant() { (a, b) } else { (b, a) };
                let added = broadcast(editor, constant, shape)?;
                m.take(product)?;
                let all = bias.get_or_insert_with(|| vec![0.0; added.len()]);
                all.iter_mut().zip(added).for_each(|(sum, x)| *sum += scale * x);
                product = rest;
            }
            _ => return None,
        }
    }
}

/// The numbers of a float constant in a larger shape.
fn broadcast(editor: &Editor, id: TensorId, shape: &[usize]) -> Option<Vec<f64>> {
    let values = editor.constant(id)?;
    let own = aligned(editor.shape(id), shape.len());
    if own.len() != shape.len() || own.iter().zip(shape).any(|(&own, &to)| own != to && own != 1) {
        return None;
    }
    let (from, to) = (strides(&own), strides(shape));
    let index = |at: usize| -> usize {
        (0..shape.len()).filter(|&i| own[i] != 1).map(|i| at / to[i] % shape[i] * from[i]).sum()
    };
    (0..shape.iter().product()).map(|at| values.get(index(at)).map(|&x| x.into())).collect()
}

/// The tensor whose vectors the heads are pieces of.
struct Vectors {
    id: TensorId,
    layout: HeadLayout,
    /// The product reads the tensor times this.
    factor: f64,
}

/// Follows an operand of a product, `[heads, count, depth]` with its last axes in the other order if `transposed`, as
/// far back as its elements are only moved.
fn vectors(editor: &Editor, id: TensorId, transposed: bool, dims: [usize; 3]) -> Option<Vectors> {
    let [heads, count, depth] = dims;
    let shape = editor.shape(id);
    let pair = if transposed { [depth, count] } else { [count, depth] };
    let own_heads = editor.tensor(id).len() / (count * depth).max(1);
    if !shape.ends_with(&pair) || (own_heads != heads && own_heads != 1) {
        return None;
    }
    let index = |h: usize, i: usize, d: usize| {
        h * count * depth + if transposed { d * count + i } else { i * depth + d }
    };
    // Of each element of each head in turn: where it comes from.
    let mut from: Vec<usize> = Vec::with_capacity(own_heads * count * depth);
    for h in 0..own_heads {
        (0..count).for_each(|i| from.extend((0..depth).map(|d| index(h, i, d))));
    }
    let (mut current, mut factor) = (id, 1.0);
    let mut found = None;
    loop {
        if let Some(mut layout) = fits(editor, current, &from, [own_heads, count, depth]) {
            if own_heads == 1 {
                layout.stride = 0;
            }
            found = Some(Vectors { id: current, layout, factor });
        }
        let Some((_, node)) = editor.maker(current) else { break };
        let (Some((source, times)), Activation::None) = (moved(editor, node), node.activation) else { break };
        if !editor.all_float(node) {
            break;
        }
        from.iter_mut().for_each(|at| *at = origin(editor, node, source, current, *at));
        factor *= times;
        current = source;
    }
    found
}

/// How the heads lie in the vectors of `id`, if element `d` of vector `i` in head `h` is always in vector `i`.
fn fits(
    editor: &Editor,
    id: TensorId,
    from: &[usize],
    [heads, count, depth]: [usize; 3],
) -> Option<HeadLayout> {
    let length = *editor.shape(id).last()?;
    let offset = *from.first()?;
    let stride = from.get(count * depth).map_or(0, |second| second.wrapping_sub(offset));
    let layout = HeadLayout { offset, stride, depth };
    let inside = stride < length && layout.reach(heads) <= length;
    let expected = |at: usize| {
        let (h, i, d) = (at / (count * depth), at / depth % count, at % depth);
        i * length + offset + h * stride + d
    };
    let same = || from.iter().enumerate().all(|(at, &from)| from == expected(at));
    (inside && editor.tensor(id).len() == count * length && same()).then_some(layout)
}

/// The operand of a node that only moves elements, or multiplies all by a number.
fn moved(editor: &Editor, node: &Node) -> Option<(TensorId, f64)> {
    let &first = node.inputs.first()?;
    match (&node.op, &node.inputs[..]) {
        (Op::Reshape | Op::Transpose { .. } | Op::Slice { .. }, _) => Some((first, 1.0)),
        (Op::Binary(BinaryFn::Mul), &[a, b]) => match (editor.scalar(a), editor.scalar(b)) {
            (None, Some(c)) => Some((a, c.into())),
            (Some(c), None) => Some((b, c.into())),
            _ => None,
        },
        (Op::Binary(BinaryFn::Div), &[a, b]) => Some((a, 1.0 / f64::from(editor.scalar(b)?))),
        _ => None,
    }
}

/// Where element `at` of `to`, which the node makes, lies in `from`.
fn origin(editor: &Editor, node: &Node, from: TensorId, to: TensorId, at: usize) -> usize {
    let (own, other) = (editor.shape(to), editor.shape(from));
    let axes = strides(own).into_iter().zip(own).enumerate();
    let source = strides(other);
    match &node.op {
        Op::Transpose { perm } => axes.map(|(i, (stride, n))| at / stride % n * source[perm[i]]).sum(),
        Op::Slice { starts, steps } => {
            axes.map(|(i, (stride, n))| (starts[i] + at / stride % n * steps[i]) * source[i]).sum()
        }
        _ => at,
    }
}
