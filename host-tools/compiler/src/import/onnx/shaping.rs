//! Movement of elements, on constants at once and on activations as nodes: one implementation for both, so that
//! shape arithmetic and data follow the same rules.

use super::call::{MAX_ELEMENTS, Res, Value, broadcast_shapes, elements, reject, reject_for};
use super::importer::Importer;
use super::literal::{self, Literal};
use crate::graph::{Data, Op};

impl Importer<'_> {
    pub fn transpose(&mut self, name: &str, x: &Value, perm: &[usize]) -> Res<Value> {
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(x.clone());
        }
        match x {
            Value::Const(literal) => {
                self.charge(literal.data.len())?;
                Ok(literal.transposed(perm).into())
            }
            _ => {
                let id = self.operand(x)?;
                Ok(Value::Tensor(self.transpose_node(id, perm, name)))
            }
        }
    }

    pub fn reshape(&mut self, name: &str, x: &Value, shape: &[usize]) -> Res<Value> {
        let old = self.shape_of(x)?;
        if elements(&old)? != elements(shape)? {
            return reject(format!("{old:?} does not fit into {shape:?}"));
        }
        match x {
            Value::Const(literal) => Ok(literal.reshaped(shape.to_vec()).into()),
            _ => {
                let id = self.operand(x)?;
                Ok(Value::Tensor(self.reshape_node(id, shape, name)))
            }
        }
    }

    /// `shape` elements from `starts` in `steps`; all within the operand.
    pub fn slice(
        &mut self,
        name: &str,
        x: &Value,
        starts: &[usize],
        steps: &[i64],
        shape: Vec<usize>,
    ) -> Res<Value> {
        if shape == self.shape_of(x)? && steps.iter().all(|&s| s > 0) {
            return Ok(x.clone());
        }
        if let Value::Const(literal) = x {
            self.charge(elements(&shape)?)?;
            return Ok(literal.sliced(starts, steps, shape).into());
        }
        self.check_shape(&shape)?;
        let Some(steps) = steps.iter().map(|&s| usize::try_from(s).ok()).collect::<Option<Vec<_>>>() else {
            return reject_for("a slice with a negative step", "a slice with positive steps");
        };
        let id = self.operand(x)?;
        let op = Op::Slice { starts: starts.to_vec(), steps };
        Ok(Value::Tensor(self.node(name, op, vec![id], shape)))
    }

    /// `length` elements of `axis` from `start`.
    pub fn part(&mut self, name: &str, x: &Value, axis: usize, start: usize, length: usize) -> Res<Value> {
        let mut shape = self.shape_of(x)?;
        if start.checked_add(length).is_none_or(|end| end > shape[axis]) {
            return reject(format!("elements {start}..+{length} of an axis of {}", shape[axis]));
        }
        let mut starts = vec![0; shape.len()];
        starts[axis] = start;
        let steps = vec![1; shape.len()];
        shape[axis] = length;
        self.slice(name, x, &starts, &steps, shape)
    }

    /// Picks along `axis`; the shape of the indices takes the axis's place. A run of indices is a slice.
    pub fn gather(&mut self, name: &str, x: &Value, axis: usize, indices: &Literal) -> Res<Value> {
        let shape = self.shape_of(x)?;
        let length = shape[axis];
        let index = |i: i64| {
            let i = if i < 0 { i.checked_add(length as i64)? } else { i };
            usize::try_from(i).ok().filter(|&i| i < length)
        };
        let Some(picks) = indices.ints()?.into_iter().map(index).collect::<Option<Vec<_>>>() else {
            return reject(format!("an index outside of an axis of {length}"));
        };
        let result = [&shape[..axis], &indices.shape[..], &shape[axis + 1..]].concat();
        if let Value::Const(literal) = x {
            self.charge(elements(&result)?)?;
            return Ok(literal.gathered(axis, &picks, &indices.shape).into());
        }
        self.check_shape(&result)?;
        let first = picks.first().copied().unwrap_or(0);
        if picks.iter().enumerate().all(|(i, &p)| p == first + i) {
            let part = self.part(&format!("{name}_part"), x, axis, first, picks.len())?;
            return self.reshape(name, &part, &result);
        }
        let id = self.operand(x)?;
        let codes = Data::I32(picks.iter().map(|&p| p as i32).collect());
        let codes = Literal::new(format!("{name}_indices"), indices.shape.clone(), codes);
        let codes = self.new_constant(codes)?;
        Ok(Value::Tensor(self.node(name, Op::Gather { axis }, vec![id, codes], result)))
    }

    pub fn concat(&mut self, name: &str, parts: &[Value], axis: usize) -> Res<Value> {
        let Some(first) = parts.first() else { return reject("nothing to join") };
        let mut shape = self.shape_of(first)?;
        shape[axis] = 0;
        for part in parts {
            let mut other = self.shape_of(part)?;
            if other.len() != shape.len() {
                return reject(format!("shapes {shape:?} and {other:?} to join"));
            }
            let length = std::mem::replace(&mut other[axis], shape[axis]);
            if other != shape {
                return reject(format!("shapes {shape:?} and {other:?} to join along axis {axis}"));
            }
            shape[axis] = shape[axis].saturating_add(length).min(MAX_ELEMENTS + 1);
        }
        elements(&shape)?;
        if parts.len() == 1 {
            return Ok(first.clone());
        }
        let literal = |v: &Value| if let Value::Const(c) = v { Some((**c).clone()) } else { None };
        if let Some(literals) = parts.iter().map(literal).collect::<Option<Vec<_>>>() {
            self.charge(elements(&shape)?)?;
            return Ok(literal::concat(&literals, axis)?.into());
        }
        self.check_shape(&shape)?;
        let ids = parts.iter().map(|p| self.operand(p)).collect::<Res<Vec<_>>>()?;
        let first = self.graph.tensor(ids[0]);
        let alike = |t: &crate::graph::Tensor| t.dtype == first.dtype && t.quant == first.quant;
        if !ids.iter().all(|&id| alike(self.graph.tensor(id))) {
            return reject("operands of different element types");
        }
        Ok(Value::Tensor(self.node(name, Op::Concat { axis }, ids, shape)))
    }

    /// Broadcasts `x` against `shape`.
    pub fn broadcast(&mut self, name: &str, x: &Value, shape: &[usize]) -> Res<Value> {
        let old = self.shape_of(x)?;
        let shape = broadcast_shapes(&old, shape)?;
        if shape == old {
            return Ok(x.clone());
        }
        if let Value::Const(literal) = x {
            self.charge(elements(&shape)?)?;
            return Ok(literal.broadcast(&shape).into());
        }
        self.check_shape(&shape)?;
        let mut full = vec![1; shape.len() - old.len()];
        full.extend(&old);
        let x = self.reshape(&format!("{name}_axes"), x, &full)?;
        if full == shape {
            return Ok(x);
        }
        let id = self.operand(&x)?;
        Ok(Value::Tensor(self.node(name, Op::BroadcastTo, vec![id], shape)))
    }

    /// Constant padding, `(before, after)` per axis.
    pub fn pad(&mut self, name: &str, x: &Value, pads: Vec<(usize, usize)>, value: f32) -> Res<Value> {
        if pads.iter().all(|&p| p == (0, 0)) {
            return Ok(x.clone());
        }
        let add = |(d, p): (&usize, &(usize, usize))| d.saturating_add(p.0).saturating_add(p.1);
        let shape: Vec<usize> = self.shape_of(x)?.iter().zip(&pads).map(add).collect();
        self.check_shape(&shape)?;
        let id = self.operand(x)?;
        Ok(Value::Tensor(self.node(name, Op::Pad { pads, value }, vec![id], shape)))
    }
}
