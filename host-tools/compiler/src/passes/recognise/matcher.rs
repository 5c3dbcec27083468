//! Reading expressions backwards from a result, in whatever order and association they were written.

use crate::graph::{Activation, BinaryFn, Node, Op, ReduceFn, TensorId, UnaryFn};
use crate::passes::edit::Editor;

/// Relative tolerance of the constants in a spelling: they are often written with four digits.
const TOLERANCE: f64 = 2e-4;

/// Coefficients of a polynomial, constant first.
pub type Polynomial = [f64; 4];

/// How far expressions are followed.
const DEPTH: usize = 16;

/// Collects the nodes of a pattern. All of them work on plain floats.
pub struct Matcher<'e, 'g> {
    editor: &'e Editor<'g>,
    /// Slots of the pattern, the root's included.
    pub slots: Vec<usize>,
}

impl<'e, 'g> Matcher<'e, 'g> {
    pub fn new(editor: &'e Editor<'g>) -> Self {
        Self { editor, slots: Vec::new() }
    }

    /// The node that makes `id`, which becomes part of the pattern.
    pub fn take(&mut self, id: TensorId) -> Option<&'e Node> {
        let (slot, node) = self.editor.maker(id)?;
        let usable = node.activation == Activation::None && self.editor.all_float(node);
        usable.then(|| {
            if !self.slots.contains(&slot) {
                self.slots.push(slot);
            }
            node
        })
    }

    /// Tries `f`; what it took is given back if it fails.
    pub fn attempt<T>(&mut self, f: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let before = self.slots.len();
        let result = f(self);
        if result.is_none() {
            self.slots.truncate(before);
        }
        result
    }

    /// Whether nobody but the pattern reads what its nodes compute, save the result `root`.
    pub fn closed(&self, root: TensorId) -> bool {
        let inner = |&id: &TensorId| id != root;
        let outputs =
            self.slots.iter().filter_map(|&slot| self.editor.node(slot)).flat_map(|node| &node.outputs);
        outputs.copied().filter(inner).all(|id| {
            !self.editor.is_output(id) && self.editor.readers(id).iter().all(|slot| self.slots.contains(slot))
        })
    }

    pub fn unary(&mut self, id: TensorId, function: UnaryFn) -> Option<TensorId> {
        self.attempt(|m| match m.take(id)? {
            Node { op: Op::Unary(f), inputs, .. } if *f == function => inputs.first().copied(),
            _ => None,
        })
    }

    pub fn binary(&mut self, id: TensorId, function: BinaryFn) -> Option<(TensorId, TensorId)> {
        self.attempt(|m| match m.take(id)? {
            Node { op: Op::Binary(f), inputs, .. } if *f == function => match inputs[..] {
                [a, b] => Some((a, b)),
                _ => None,
            },
            _ => None,
        })
    }

    /// Operand and axes of a mean that keeps its axes.
    pub fn mean(&mut self, id: TensorId) -> Option<(TensorId, &'e [usize])> {
        self.attempt(|m| match m.take(id)? {
            Node { op: Op::Reduce { function: ReduceFn::Mean, axes, keep_dims: true }, inputs, .. } => {
                Some((inputs.first().copied()?, &axes[..]))
            }
            _ => None,
        })
    }

    /// `id` as a polynomial in `x`.
    pub fn polynomial(&mut self, id: TensorId, x: TensorId) -> Option<Polynomial> {
        self.polynomial_within(id, x, DEPTH)
    }

    fn polynomial_within(&mut self, id: TensorId, x: TensorId, depth: usize) -> Option<Polynomial> {
        if id == x {
            return Some([0.0, 1.0, 0.0, 0.0]);
        }
        if let Some(c) = self.editor.scalar(id) {
            return Some([c.into(), 0.0, 0.0, 0.0]);
        }
        let depth = depth.checked_sub(1)?;
        self.attempt(|m| {
            let node = m.take(id)?;
            // Broadcasting would change the shape on the way.
            if m.editor.shape(id) != m.editor.shape(x) {
                return None;
            }
            let mut operand = |i: usize| m.polynomial_within(*node.inputs.get(i)?, x, depth);
            match node.op {
                Op::Binary(BinaryFn::Add) => Some(combine(operand(0)?, operand(1)?, |a, b| a + b)),
                Op::Binary(BinaryFn::Sub) => Some(combine(operand(0)?, operand(1)?, |a, b| a - b)),
                Op::Binary(BinaryFn::Mul) => product(operand(0)?, operand(1)?),
                Op::Binary(BinaryFn::Div) => match operand(1)? {
                    [c, 0.0, 0.0, 0.0] if c != 0.0 => Some(operand(0)?.map(|a| a / c)),
                    _ => None,
                },
                Op::Binary(BinaryFn::Pow) => {
                    let base = operand(0)?;
                    match operand(1)? {
                        [2.0, 0.0, 0.0, 0.0] => product(base, base),
                        [3.0, 0.0, 0.0, 0.0] => product(product(base, base)?, base),
                        _ => None,
                    }
                }
                Op::Unary(UnaryFn::Square) => {
                    let base = operand(0)?;
                    product(base, base)
                }
                Op::Unary(UnaryFn::Neg) => Some(operand(0)?.map(|a| -a)),
                _ => None,
            }
        })
    }

    /// The tensor that `id` is an expression of, if constants are all else: found by walking up until a node that
    /// is no such arithmetic.
    pub fn base(&self, id: TensorId) -> TensorId {
        let mut current = id;
        for _ in 0..DEPTH {
            let Some((_, node)) = self.editor.maker(current) else { break };
            let next = match (&node.op, &node.inputs[..]) {
                (Op::Binary(BinaryFn::Add | BinaryFn::Sub | BinaryFn::Mul | BinaryFn::Div), &[a, b]) => {
                    match (self.editor.scalar(a), self.editor.scalar(b)) {
                        (None, Some(_)) => a,
                        (Some(_), None) => b,
                        _ => break,
                    }
                }
                (Op::Unary(UnaryFn::Neg), &[a]) => a,
                _ => break,
            };
            if node.activation != Activation::None {
                break;
            }
            current = next;
            // A tensor with other readers may well be the base itself.
            if !self.editor.is_private(next) {
                break;
            }
        }
        current
    }

    /// `id` as a number times factors that are no products themselves; only products that the pattern alone reads
    /// are taken apart.
    pub fn factors(&mut self, id: TensorId) -> Option<(f64, Vec<TensorId>)> {
        let (mut coefficient, mut factors) = (1.0, Vec::new());
        self.collect_factors(id, &mut coefficient, &mut factors, DEPTH, true);
        (!factors.is_empty() && factors != [id]).then_some((coefficient, factors))
    }

    fn collect_factors(
        &mut self,
        id: TensorId,
        coefficient: &mut f64,
        factors: &mut Vec<TensorId>,
        depth: usize,
        root: bool,
    ) {
        if let Some(c) = self.editor.scalar(id) {
            *coefficient *= f64::from(c);
            return;
        }
        let inner = depth > 0 && (root || self.editor.is_private(id));
        let parts = self.attempt(|m| {
            if !inner {
                return None;
            }
            let node = m.take(id)?;
            match (&node.op, &node.inputs[..]) {
                (Op::Binary(BinaryFn::Mul), &[a, b]) => Some((1.0, vec![a, b])),
                (Op::Binary(BinaryFn::Div), &[a, b]) => Some((1.0 / f64::from(m.editor.scalar(b)?), vec![a])),
                (Op::Unary(UnaryFn::Neg), &[a]) => Some((-1.0, vec![a])),
                _ => None,
            }
        });
        match parts {
            Some((c, parts)) => {
                *coefficient *= c;
                parts
                    .into_iter()
                    .for_each(|id| self.collect_factors(id, coefficient, factors, depth - 1, false));
            }
            None => factors.push(id),
        }
    }
}

/// Whether a constant of a spelling is what it should be.
pub fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * b.abs().max(1e-3)
}

pub fn close_polynomial(a: Polynomial, b: Polynomial) -> bool {
    a.iter().zip(b).all(|(&a, b)| close(a, b))
}

fn combine(a: Polynomial, b: Polynomial, f: impl Fn(f64, f64) -> f64) -> Polynomial {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// `None` if the degree exceeds three.
fn product(a: Polynomial, b: Polynomial) -> Option<Polynomial> {
    let mut out = [0.0; 4];
    for (i, &a) in a.iter().enumerate() {
        for (j, &b) in b.iter().enumerate() {
            match out.get_mut(i + j) {
                Some(coefficient) => *coefficient += a * b,
                None if a * b == 0.0 => {}
                None => return None,
            }
        }
    }
    Some(out)
}
