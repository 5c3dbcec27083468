//! One node of the file with its resolved operands, and how a translation says no.

use super::literal::Literal;
use crate::graph::TensorId;
use std::rc::Rc;
use tract_onnx::pb::{AttributeProto, NodeProto, TensorProto};

/// What stands behind a name of the file.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Known at import; becomes a constant of the graph when a node reads it.
    Const(Rc<Literal>),
    /// An activation, in the file's axis order.
    Tensor(TensorId),
    /// The result of a refused node; whatever reads it is skipped without a message of its own.
    Unknown,
}

impl From<Literal> for Value {
    fn from(literal: Literal) -> Self {
        Value::Const(Rc::new(literal))
    }
}

/// Why one node has no translation.
#[derive(Clone, Debug)]
pub(super) struct Reject {
    pub reason: String,
    pub instead: Option<String>,
}

pub(super) type Res<T> = Result<T, Reject>;

pub(super) fn reject<T>(reason: impl Into<String>) -> Res<T> {
    Err(Reject { reason: reason.into(), instead: None })
}

/// The same with a hint: the nearest thing that works.
pub(super) fn reject_for<T>(reason: impl Into<String>, instead: impl Into<String>) -> Res<T> {
    Err(Reject { reason: reason.into(), instead: Some(instead.into()) })
}

pub(super) struct Call<'m> {
    pub proto: &'m NodeProto,
    /// Name of the node, or of its first output.
    pub name: String,
    /// `None`: left out by the file.
    pub inputs: Vec<Option<Value>>,
    pub opset: i64,
}

impl<'m> Call<'m> {
    pub fn op(&self) -> &'m str {
        &self.proto.op_type
    }

    pub fn attribute(&self, name: &str) -> Option<&'m AttributeProto> {
        self.proto.attribute.iter().find(|a| a.name == name)
    }

    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    pub fn flag(&self, name: &str, default: bool) -> bool {
        self.int(name, default.into()) != 0
    }

    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }

    pub fn ints(&self, name: &str) -> Option<&'m [i64]> {
        self.attribute(name).map(|a| &a.ints[..])
    }

    pub fn floats(&self, name: &str) -> Option<&'m [f32]> {
        self.attribute(name).map(|a| &a.floats[..])
    }

    pub fn string(&self, name: &str, default: &'m str) -> &'m str {
        self.attribute(name).and_then(|a| std::str::from_utf8(&a.s).ok()).unwrap_or(default)
    }

    pub fn tensor(&self, name: &str) -> Option<&'m TensorProto> {
        self.attribute(name).and_then(|a| a.t.as_ref())
    }

    pub fn input(&self, i: usize) -> Res<&Value> {
        match self.inputs.get(i) {
            Some(Some(value)) => Ok(value),
            _ => reject(format!("input {i} is missing")),
        }
    }

    pub fn optional(&self, i: usize) -> Option<&Value> {
        self.inputs.get(i).and_then(Option::as_ref)
    }

    /// Input `i` if it is there; it must then be a constant.
    pub fn optional_constant(&self, i: usize, what: &str) -> Res<Option<&Rc<Literal>>> {
        match self.optional(i) {
            None => Ok(None),
            Some(Value::Const(literal)) => Ok(Some(literal)),
            Some(_) => reject_for(
                format!("input {i} ({what}) is computed at run time"),
                "export with fixed shapes and constant parameters",
            ),
        }
    }

    pub fn constant(&self, i: usize, what: &str) -> Res<&Rc<Literal>> {
        match self.optional_constant(i, what)? {
            Some(literal) => Ok(literal),
            None => reject(format!("input {i} ({what}) is missing")),
        }
    }

    /// Integers from a constant input.
    pub fn constant_ints(&self, i: usize, what: &str) -> Res<Vec<i64>> {
        self.constant(i, what)?.ints()
    }

    /// Integers from an attribute (older opsets) or from a constant input.
    pub fn attribute_or_input(&self, name: &str, i: usize) -> Res<Option<Vec<i64>>> {
        if let Some(ints) = self.ints(name) {
            return Ok(Some(ints.to_vec()));
        }
        match self.optional_constant(i, name)? {
            Some(literal) => literal.ints().map(Some),
            None => Ok(None),
        }
    }

    /// Whether the file names output `i`.
    pub fn has_output(&self, i: usize) -> bool {
        self.proto.output.get(i).is_some_and(|name| !name.is_empty())
    }

    pub fn output_count(&self) -> usize {
        self.proto.output.len()
    }

    pub fn only_first_output(&self, others: &str) -> Res<()> {
        if (1..self.output_count()).any(|i| self.has_output(i)) {
            return reject_for(format!("{others} as a second output"), "use the first output only");
        }
        Ok(())
    }
}

/// `axis` of a tensor of `rank` axes, counted from the end if negative.
pub(super) fn axis_of(axis: i64, rank: usize) -> Res<usize> {
    let rank_i = rank as i64;
    let positive = if axis < 0 { axis.checked_add(rank_i).unwrap_or(-1) } else { axis };
    if (0..rank_i).contains(&positive) {
        Ok(positive as usize)
    } else {
        reject(format!("axis {axis} of a tensor with {rank} axes"))
    }
}

/// Each of `axes` normalized, none twice.
pub(super) fn axes_of(axes: &[i64], rank: usize) -> Res<Vec<usize>> {
    let mut found = Vec::new();
    for &axis in axes.iter().take(rank + 1) {
        let axis = axis_of(axis, rank)?;
        if found.contains(&axis) {
            return reject(format!("axis {axis} is named twice"));
        }
        found.push(axis);
    }
    Ok(found)
}

/// A size, stride or count from the file, within what any plan could hold.
pub(super) fn size_of(v: i64) -> Res<usize> {
    match usize::try_from(v) {
        Ok(v) if v <= MAX_ELEMENTS => Ok(v),
        _ => reject(format!("size {v}")),
    }
}

/// More elements than this are in no tensor that a plan could hold.
pub(super) const MAX_ELEMENTS: usize = 1 << 31;
pub(super) const MAX_RANK: usize = 8;

/// Number of elements, checked against what a plan could hold.
pub(super) fn elements(shape: &[usize]) -> Res<usize> {
    if shape.len() > MAX_RANK {
        return reject(format!("a tensor with {} axes", shape.len()));
    }
    // A zero anywhere makes the product zero, but must not hide an overflow of the rest.
    let product =
        shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d.max(1)).filter(|&n| n <= MAX_ELEMENTS));
    match product {
        Some(n) => Ok(if shape.contains(&0) { 0 } else { n }),
        None => reject(format!("a tensor of shape {shape:?} is too large")),
    }
}

/// Numpy's broadcasting.
pub(super) fn broadcast_shapes(a: &[usize], b: &[usize]) -> Res<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| (i + s.len()).checked_sub(rank).map_or(1, |j| s[j]);
    let mut shape = Vec::with_capacity(rank);
    for i in 0..rank {
        match (at(a, i), at(b, i)) {
            (x, y) if x == y => shape.push(x),
            (1, y) => shape.push(y),
            (x, 1) => shape.push(x),
            _ => return reject(format!("shapes {a:?} and {b:?} do not broadcast")),
        }
    }
    elements(&shape)?;
    Ok(shape)
}

impl From<TensorId> for Value {
    fn from(id: TensorId) -> Self {
        Value::Tensor(id)
    }
}
