//! Constants while importing: data with a shape, and movement of their elements.

use super::call::{Res, elements, reject};
use crate::graph::{DType, Data, Quant};

/// A constant of the file or a result of folding. With `quant` the data are integers that stand for reals.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub name: String,
    pub shape: Vec<usize>,
    pub data: Data,
    pub quant: Option<Quant>,
}

impl Literal {
    pub fn new(name: impl Into<String>, shape: Vec<usize>, data: Data) -> Self {
        Self { name: name.into(), shape, data, quant: None }
    }

    pub fn from_ints(name: impl Into<String>, ints: Vec<i64>) -> Self {
        Self::new(name, vec![ints.len()], Data::I64(ints.into()))
    }

    pub fn floats(name: impl Into<String>, shape: Vec<usize>, floats: Vec<f32>) -> Self {
        Self::new(name, shape, Data::F32(floats.into()))
    }

    pub fn scalar(name: impl Into<String>, v: f32) -> Self {
        Self::floats(name, vec![], vec![v])
    }

    /// Whether the elements stand for reals.
    pub fn is_float(&self) -> bool {
        self.quant.is_some() || self.data.dtype().is_float()
    }

    pub fn ints(&self) -> Res<Vec<i64>> {
        match self.data.to_i64() {
            Some(ints) if self.quant.is_none() => Ok(ints),
            _ => reject(format!("`{}` should hold integers", self.name)),
        }
    }

    /// The numbers as reals, dequantized if they are quantized.
    pub fn reals(&self) -> Vec<f32> {
        let Some(quant) = &self.quant else { return self.data.to_f32() };
        let Some(codes) = self.data.to_i64() else { return self.data.to_f32() };
        let (channels, inner) = match quant.axis {
            Some(axis) => (quant.scales.len(), self.shape[axis + 1..].iter().product::<usize>()),
            None => (1, 1),
        };
        let real = |(i, code): (usize, i64)| {
            let c = i / inner.max(1) % channels.max(1);
            (code - i64::from(quant.zero_points[c])) as f32 * quant.scales[c]
        };
        codes.into_iter().enumerate().map(real).collect()
    }

    /// The only element, as a real.
    pub fn single(&self) -> Option<f32> {
        (self.data.len() == 1).then(|| self.reals()[0])
    }

    /// The same reals without quantization.
    pub fn dequantized(&self) -> Literal {
        match self.quant {
            Some(_) => Literal::floats(self.name.clone(), self.shape.clone(), self.reals()),
            None => self.clone(),
        }
    }

    pub fn transposed(&self, perm: &[usize]) -> Literal {
        let shape: Vec<usize> = perm.iter().map(|&p| self.shape[p]).collect();
        let strides = strides(&self.shape);
        let picks = walk(&shape, &perm.iter().map(|&p| strides[p]).collect::<Vec<_>>(), 0);
        let quant = self.quant.clone().map(|mut quant| {
            quant.axis = quant.axis.and_then(|axis| perm.iter().position(|&p| p == axis));
            quant
        });
        Literal { name: self.name.clone(), shape, data: pick(&self.data, &picks), quant }
    }

    pub fn reshaped(&self, shape: Vec<usize>) -> Literal {
        let mut result = match self.quant.as_ref().and_then(|q| q.axis) {
            None => self.clone(),
            Some(axis) => match moved_axis(&self.shape, axis, &shape) {
                Some(new) => {
                    let mut moved = self.clone();
                    moved.quant = moved.quant.map(|q| Quant { axis: Some(new), ..q });
                    moved
                }
                None => self.dequantized(),
            },
        };
        result.shape = shape;
        result
    }

    /// Elements `start + i * step` of each axis; steps may be negative.
    pub fn sliced(&self, starts: &[usize], steps: &[i64], shape: Vec<usize>) -> Literal {
        let source = self.without_axis_quant_if(|axis| shape[axis] != self.shape[axis] || steps[axis] != 1);
        let strides = strides(&self.shape);
        let offset = starts.iter().zip(&strides).map(|(s, st)| (s * st) as i64).sum();
        let moves: Vec<i64> = steps.iter().zip(&strides).map(|(s, &st)| s * st as i64).collect();
        let data = pick(&source.data, &walk_signed(&shape, &moves, offset));
        Literal { name: source.name, shape, data, quant: source.quant }
    }

    /// Elements at `indices` of `axis`; the index's shape takes the axis's place.
    pub fn gathered(&self, axis: usize, indices: &[usize], index_shape: &[usize]) -> Literal {
        let source = self.without_axis_quant_if(|_| true);
        let outer: usize = self.shape[..axis].iter().product();
        let inner: usize = self.shape[axis + 1..].iter().product();
        let mut picks = Vec::with_capacity(outer * indices.len() * inner);
        for o in 0..outer {
            for &i in indices {
                let from = (o * self.shape[axis] + i) * inner;
                picks.extend(from..from + inner);
            }
        }
        let shape = [&self.shape[..axis], index_shape, &self.shape[axis + 1..]].concat();
        Literal { name: source.name, shape, data: pick(&source.data, &picks), quant: source.quant }
    }

    /// Repeated along axes of length 1; `shape` is the result of broadcasting against it.
    pub fn broadcast(&self, shape: &[usize]) -> Literal {
        let source = self.without_axis_quant_if(|_| self.shape != shape);
        let own = strides(&self.shape);
        let lead = shape.len() - self.shape.len();
        let moves: Vec<usize> = (0..shape.len())
            .map(|i| if i < lead || self.shape[i - lead] == 1 { 0 } else { own[i - lead] })
            .collect();
        let data = pick(&source.data, &walk(shape, &moves, 0));
        Literal { name: source.name, shape: shape.to_vec(), data, quant: source.quant }
    }

    fn without_axis_quant_if(&self, touched: impl Fn(usize) -> bool) -> Literal {
        match self.quant.as_ref().and_then(|q| q.axis) {
            Some(axis) if touched(axis) => self.dequantized(),
            _ => self.clone(),
        }
    }
}

/// Joins constants along `axis`; they agree in element type and in the other axes.
pub(super) fn concat(parts: &[Literal], axis: usize) -> Res<Literal> {
    let same_quant = parts.iter().all(|p| p.quant == parts[0].quant)
        && parts[0].quant.as_ref().is_none_or(|q| q.axis.is_none());
    let parts: Vec<Literal> =
        if same_quant { parts.to_vec() } else { parts.iter().map(Literal::dequantized).collect() };
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|p| p.shape[axis]).sum();
    elements(&shape)?;
    let outer: usize = shape[..axis].iter().product();
    macro_rules! join {
        ($kind:ident) => {{
            let mut all = Vec::new();
            for o in 0..outer {
                for part in &parts {
                    let run: usize = part.shape[axis..].iter().product();
                    let Data::$kind(v) = &part.data else { return reject("mixed element types") };
                    all.extend_from_slice(&v[o * run..(o + 1) * run]);
                }
            }
            Data::$kind(all.into())
        }};
    }
    let data = match parts[0].data.dtype() {
        DType::F32 => join!(F32),
        DType::F16 => join!(F16),
        DType::I8 => join!(I8),
        DType::U8 => join!(U8),
        DType::I16 => join!(I16),
        DType::I32 => join!(I32),
        DType::I64 => join!(I64),
        DType::Bool => join!(Bool),
    };
    Ok(Literal { name: parts[0].name.clone(), shape, data, quant: parts[0].quant.clone() })
}

pub(super) fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i].max(1);
    }
    strides
}

/// The elements of `data` at `indices`.
pub(super) fn pick(data: &Data, indices: &[usize]) -> Data {
    macro_rules! pick {
        ($kind:ident, $v:expr) => {
            Data::$kind(indices.iter().map(|&i| $v[i]).collect())
        };
    }
    match data {
        Data::F32(v) => pick!(F32, v),
        Data::F16(v) => pick!(F16, v),
        Data::I8(v) => pick!(I8, v),
        Data::U8(v) => pick!(U8, v),
        Data::I16(v) => pick!(I16, v),
        Data::I32(v) => pick!(I32, v),
        Data::I64(v) => pick!(I64, v),
        Data::Bool(v) => pick!(Bool, v),
    }
}

/// Offsets of the elements of `shape`, in order, where a step along axis `i` moves by `moves[i]`.
pub(super) fn walk(shape: &[usize], moves: &[usize], offset: usize) -> Vec<usize> {
    let moves: Vec<i64> = moves.iter().map(|&m| m as i64).collect();
    walk_signed(shape, &moves, offset as i64)
}

fn walk_signed(shape: &[usize], moves: &[i64], offset: i64) -> Vec<usize> {
    let n: usize = shape.iter().product();
    let mut all = Vec::with_capacity(n);
    let mut index = vec![0; shape.len()];
    let mut at = offset;
    for _ in 0..n {
        all.push(at as usize);
        for i in (0..shape.len()).rev() {
            index[i] += 1;
            at += moves[i];
            if index[i] < shape[i] {
                break;
            }
            at -= moves[i] * shape[i] as i64;
            index[i] = 0;
        }
    }
    all
}

/// Where `axis` of `old` is found in the shape `new` of the same elements.
fn moved_axis(old: &[usize], axis: usize, new: &[usize]) -> Option<usize> {
    let before: usize = old[..axis].iter().product();
    (0..new.len()).find(|&j| new[j] == old[axis] && new[..j].iter().product::<usize>() == before)
}
