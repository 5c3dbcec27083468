//! The graph under construction: values, operands, outputs, and the emission of nodes.
//!
//! Translators work with [`V`], a value that need not be part of the graph yet: constants enter it when a node
//! that stays reads them, so that folded ones leave no trace.

use super::fold;
use super::read::{File, MAX_RANK, elements};
use super::refused::{Refused, refuse};
use super::variable::Variable;
use crate::graph::{Activation, DType, Data, Graph, Node, Op, Quant, Rounding, State, Tensor, TensorId};
use crate::import::Imported;
use std::collections::HashMap;
use tract_tflite::tflite as schema;

/// A value: an activation, or a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct V(usize);

struct Value {
    tensor: Tensor,
    source: Option<usize>,
    id: Option<TensorId>,
}

/// An operator of the file, with its indices made safe.
pub(super) struct FileNode<'a> {
    pub op: schema::Operator<'a>,
    pub code: schema::BuiltinOperator,
    /// Name of the first output.
    pub name: String,
    /// Empty slots are `None`.
    pub inputs: Vec<Option<usize>>,
    pub outputs: Vec<usize>,
}

/// What an emitted node computes.
pub(super) struct Step {
    pub op: Op,
    pub inputs: Vec<V>,
    pub activation: Activation,
    pub rounding: Rounding,
}

impl Step {
    pub fn new(op: Op, inputs: impl Into<Vec<V>>) -> Self {
        Self { op, inputs: inputs.into(), activation: Activation::None, rounding: Rounding::Double }
    }

    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    pub fn rounding(mut self, rounding: Rounding) -> Self {
        self.rounding = rounding;
        self
    }
}

/// Where a node's result goes.
pub(super) struct Target {
    pub tensor: Tensor,
    source: Option<usize>,
}

/// The arithmetic of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Float,
    Int8,
}

pub(super) struct Builder<'a> {
    pub file: File<'a>,
    graph: Graph,
    source_index: Vec<Option<usize>>,
    values: Vec<Value>,
    by_index: Vec<Option<V>>,
    /// Constants in another layout or type, by a label of what was done.
    derived: HashMap<(V, &'static str), V>,
    pub variables: Vec<Variable>,
    /// Places of variables, by the tensor that names one.
    pub handles: HashMap<usize, usize>,
    /// Bytes that may still be allocated; grows with the file, so that a small file can't ask for much.
    budget: usize,
}

impl<'a> Builder<'a> {
    pub fn new(file: File<'a>, file_len: usize) -> Self {
        let by_index = vec![None; file.tensor_count()];
        let budget = file_len.saturating_mul(16).saturating_add(64 << 20);
        let name = if file.name.is_empty() { "main".to_string() } else { file.name.clone() };
        let graph = Graph { name, ..Graph::default() };
        Self {
            file,
            graph,
            source_index: vec![],
            values: vec![],
            by_index,
            derived: HashMap::new(),
            variables: vec![],
            handles: HashMap::new(),
            budget,
        }
    }

    pub fn charge(&mut self, bytes: usize) -> Result<(), Refused> {
        match self.budget.checked_sub(bytes) {
            Some(rest) => {
                self.budget = rest;
                Ok(())
            }
            None => refuse("the model unfolds to far more data than its file holds"),
        }
    }

    // Values

    pub fn tensor(&self, v: V) -> &Tensor {
        &self.values[v.0].tensor
    }

    pub fn shape(&self, v: V) -> &[usize] {
        &self.values[v.0].tensor.shape
    }

    pub fn is_constant(&self, v: V) -> bool {
        self.tensor(v).is_constant()
    }

    fn add(&mut self, tensor: Tensor, source: Option<usize>) -> Result<V, Refused> {
        if tensor.shape.len() > MAX_RANK {
            return refuse(format!("a shape of {} axes is too deep", tensor.shape.len()));
        }
        elements(&tensor.shape)?;
        self.charge(tensor.name.len() * 2 + 512)?;
        self.values.push(Value { tensor, source, id: None });
        Ok(V(self.values.len() - 1))
    }

    /// An input of the whole model.
    pub fn graph_input(&mut self, index: usize) -> Result<(), Refused> {
        let shape = self.file.declared(index)?.shape;
        if shape.contains(&0) {
            return refuse("it has an axis of length 0");
        }
        let (dtype, quant) = self.file.element_type(index, &shape)?;
        let mut tensor = Tensor::activation(self.file.tensor_name(index), shape, dtype);
        tensor.quant = quant;
        let v = self.add(tensor, Some(index))?;
        if self.by_index[index].replace(v).is_some() {
            return refuse("it is an input twice");
        }
        let id = self.register(v);
        self.graph.inputs.push(id);
        Ok(())
    }

    pub fn graph_output(&mut self, index: i32) -> Result<(), Refused> {
        let v = match usize::try_from(index) {
            Ok(index) => self.value(index)?,
            Err(_) => return refuse("it does not exist"),
        };
        let id = self.register(v);
        self.graph.outputs.push(id);
        Ok(())
    }

    /// What a variable holds before the run, as an input of the graph.
    pub fn state_input(&mut self, index: usize) -> Result<V, Refused> {
        self.graph_input(index)?;
        self.value(index)
    }

    /// Makes tensor `index` of the file another name of `v`.
    pub fn name_again(&mut self, index: usize, v: V) -> Result<(), Refused> {
        match self.by_index.get_mut(index) {
            Some(place @ None) => {
                *place = Some(v);
                Ok(())
            }
            _ => refuse("its output is computed twice, or does not exist"),
        }
    }

    /// The value of a tensor of the file; constants are read here, once.
    fn value(&mut self, index: usize) -> Result<V, Refused> {
        if let Some(&Some(v)) = self.by_index.get(index) {
            return Ok(v);
        }
        let tensor = self.file.tensor(index)?;
        let name = self.file.tensor_name(index);
        if tensor.is_variable() {
            return Err(Refused::new(format!("`{name}` is a variable, which keeps its value between runs"))
                .instead("convert the network over a whole window, and let the compiler make it stream"));
        }
        let declared = self.file.declared(index)?;
        if !self.file.has_data(index) && !declared.shape.contains(&0) {
            return refuse(format!(
                "`{name}` is read, but nothing has computed it and the file holds no data"
            ));
        }
        let mut budget = self.budget;
        let constant = self.file.constant(index, &mut |bytes| match budget.checked_sub(bytes) {
            Some(rest) => {
                budget = rest;
                Ok(())
            }
            None => refuse("the model unfolds to far more data than its file holds"),
        });
        self.budget = budget;
        let v = self.add(constant?, Some(index))?;
        self.by_index[index] = Some(v);
        Ok(v)
    }

    fn register(&mut self, v: V) -> TensorId {
        let value = &mut self.values[v.0];
        *value.id.get_or_insert_with(|| {
            self.source_index.push(value.source);
            self.graph.add_tensor(value.tensor.clone())
        })
    }

    /// The constant that follows from `v` by `make`, made once.
    pub fn derive(
        &mut self,
        v: V,
        what: &'static str,
        make: impl FnOnce(&Tensor) -> Result<Tensor, Refused>,
    ) -> Result<V, Refused> {
        if let Some(&derived) = self.derived.get(&(v, what)) {
            return Ok(derived);
        }
        let bytes = self.tensor(v).len().saturating_mul(8);
        self.charge(bytes)?;
        let mut tensor = make(self.tensor(v))?;
        if let Some(data) = &tensor.data {
            tensor.dtype = data.dtype();
        }
        let derived = self.add(tensor, None)?;
        self.derived.insert((v, what), derived);
        Ok(derived)
    }

    // Operands

    /// Operand `slot` of a node, as the file has it.
    pub fn any_input(&mut self, node: &FileNode<'_>, slot: usize) -> Result<V, Refused> {
        match self.optional_input(node, slot)? {
            Some(v) => Ok(v),
            None => refuse(format!("input {slot} is missing")),
        }
    }

    pub fn optional_input(&mut self, node: &FileNode<'_>, slot: usize) -> Result<Option<V>, Refused> {
        node.inputs.get(slot).copied().flatten().map(|index| self.value(index)).transpose()
    }

    /// Operand `slot`; half-precision constants are widened (weights are read by [`Self::any_input`]).
    pub fn input(&mut self, node: &FileNode<'_>, slot: usize) -> Result<V, Refused> {
        let v = self.any_input(node, slot)?;
        self.widened(v)
    }

    pub fn widened(&mut self, v: V) -> Result<V, Refused> {
        let tensor = self.tensor(v);
        if tensor.dtype != DType::F16 || !tensor.is_constant() {
            return Ok(v);
        }
        self.derive(v, "f32", |half| {
            let data = half.data.as_ref().map(Data::to_f32).unwrap_or_default();
            Ok(Tensor { data: Some(Data::F32(data.into())), ..half.clone() })
        })
    }

    /// The integers of a constant operand.
    pub fn ints(&mut self, node: &FileNode<'_>, slot: usize, what: &str) -> Result<Vec<i64>, Refused> {
        let v = self.any_input(node, slot)?;
        self.ints_of(v, what)
    }

    pub fn ints_of(&self, v: V, what: &str) -> Result<Vec<i64>, Refused> {
        let tensor = self.tensor(v);
        match &tensor.data {
            None => Err(Refused::new(format!("{what} (`{}`) is not constant", tensor.name))
                .instead("a model whose shapes are all fixed")),
            Some(data) if data.len() > 1 << 20 => refuse(format!("{what} has {} numbers", data.len())),
            Some(data) => data
                .to_i64()
                .ok_or_else(|| Refused::new(format!("{what} (`{}`) is not integer", tensor.name))),
        }
    }

    // Results

    /// The tensor that output `slot` of the node becomes, with the shape that follows from the operands.
    pub fn output(&self, node: &FileNode<'_>, slot: usize, shape: &[usize]) -> Result<Target, Refused> {
        let Some(&index) = node.outputs.get(slot) else { return refuse(format!("output {slot} is missing")) };
        let declared = self.file.declared(index)?;
        if declared.open.is_empty() && !declared.blank && declared.shape != shape {
            return refuse(format!(
                "its output has shape {:?} in the file, but {shape:?} follows from its operands",
                declared.shape
            ));
        }
        let (dtype, quant) = self.file.element_type(index, shape)?;
        let mut tensor = Tensor::activation(self.file.tensor_name(index), shape.to_vec(), dtype);
        tensor.quant = quant;
        Ok(Target { tensor, source: Some(index) })
    }

    /// The shape that the file states for an output, if it states one.
    pub fn declared_output(&self, node: &FileNode<'_>, slot: usize) -> Result<Option<Vec<usize>>, Refused> {
        let Some(&index) = node.outputs.get(slot) else { return refuse(format!("output {slot} is missing")) };
        let declared = self.file.declared(index)?;
        Ok((declared.open.is_empty() && !declared.blank).then_some(declared.shape))
    }

    /// A tensor that the file does not have, typed like `like`.
    pub fn between(&self, node: &FileNode<'_>, suffix: &str, shape: &[usize], like: V) -> Target {
        let like = self.tensor(like);
        let mut tensor = Tensor::activation(format!("{}/{suffix}", node.name), shape.to_vec(), like.dtype);
        tensor.quant = like.quant.clone();
        Target { tensor, source: None }
    }

    /// A constant that the file does not have.
    pub fn constant(&mut self, tensor: Tensor) -> Result<V, Refused> {
        self.charge(tensor.len().saturating_mul(8))?;
        self.add(tensor, None)
    }

    /// A constant in the place of an output.
    pub fn constant_output(
        &mut self,
        node: &FileNode<'_>,
        shape: &[usize],
        data: Data,
        quant: Option<Quant>,
    ) -> Result<(), Refused> {
        let mut target = self.output(node, 0, shape)?;
        target.tensor.dtype = data.dtype();
        target.tensor.data = Some(data);
        target.tensor.quant = quant;
        self.bind(target).map(|_| ())
    }

    fn bind(&mut self, target: Target) -> Result<V, Refused> {
        if let Some(index) = target.source
            && self.by_index.get(index).is_none_or(Option::is_some)
        {
            return refuse(format!("`{}` is computed twice, or is read before", target.tensor.name));
        }
        let v = self.add(target.tensor, target.source)?;
        if let Some(index) = target.source {
            self.by_index[index] = Some(v);
        }
        Ok(v)
    }

    /// Adds a node, or its result if that is a constant that shapes may depend on.
    pub fn emit(&mut self, step: Step, mut target: Target) -> Result<V, Refused> {
        if target.tensor.shape.contains(&0) && !step.inputs.iter().all(|&v| self.is_constant(v)) {
            return refuse("its output has an axis of length 0");
        }
        elements(&target.tensor.shape)?;
        if step.activation == Activation::None && step.inputs.iter().all(|&v| self.is_constant(v)) {
            let cost = fold::cost(&step.op, &target.tensor);
            self.charge(cost)?;
            let operands: Vec<&Tensor> = step.inputs.iter().map(|&v| self.tensor(v)).collect();
            if let Some(data) = fold::evaluate(&step.op, &operands, &target.tensor) {
                target.tensor.dtype = data.dtype();
                target.tensor.data = Some(data);
                return self.bind(target);
            }
        }
        let inputs: Vec<TensorId> = step.inputs.iter().map(|&v| self.register(v)).collect();
        let name = target.tensor.name.clone();
        let v = self.bind(target)?;
        let output = self.register(v);
        let mut node = Node::new(name, step.op, inputs, vec![output]);
        node.activation = step.activation;
        node.rounding = step.rounding;
        self.graph.nodes.push(node);
        Ok(v)
    }

    /// Stands in for the result of a refused node, so that the nodes behind it can be looked at too. Returns
    /// whether the shape is unknown, which makes complaints of those nodes meaningless.
    pub fn stand_in(&mut self, index: usize) -> bool {
        if !matches!(self.by_index.get(index), Some(None)) {
            return false;
        }
        let Ok(declared) = self.file.declared(index) else { return true };
        let (dtype, quant) = self.file.element_type(index, &declared.shape).unwrap_or((DType::F32, None));
        let mut tensor = Tensor::activation(self.file.tensor_name(index), declared.shape, dtype);
        tensor.quant = quant;
        match self.add(tensor, Some(index)) {
            Ok(v) => self.by_index[index] = Some(v),
            Err(_) => return true,
        }
        !declared.open.is_empty() || declared.blank
    }

    // Types

    /// Which arithmetic a node with these operands and this result needs.
    pub fn arithmetic(&self, operands: &[V], result: &Tensor) -> Result<Arithmetic, Refused> {
        let mut kinds = Vec::with_capacity(operands.len() + 1);
        for tensor in operands.iter().map(|&v| self.tensor(v)).chain([result]) {
            kinds.push(tensor_arithmetic(tensor)?);
        }
        match kinds.iter().all(|&kind| kind == kinds[0]) {
            true => Ok(kinds[0]),
            false => Err(Refused::new("it mixes float and integer operands")
                .instead("QUANTIZE or DEQUANTIZE between them, or full integer quantization")),
        }
    }

    /// Refuses an operator that only moves or compares integers if its sides mean different numbers by them.
    pub fn same_quant(&self, operands: &[V], result: &Tensor) -> Result<(), Refused> {
        for operand in operands.iter().map(|&v| self.tensor(v)) {
            let differs = match (operand.dtype, result.dtype) {
                (DType::I8, DType::I8) => !nearly_equal(operand, result),
                (a, b) => a != b && !(a == DType::F16 && b == DType::F32 && operand.is_constant()),
            };
            if differs {
                return refuse(format!(
                    "`{}` and its output differ in element type or quantization",
                    operand.name
                ));
            }
        }
        Ok(())
    }

    /// Ties what variables hold behind a run to what they hold before the next.
    pub fn tie_states(&mut self) -> Result<(), Refused> {
        for variable in std::mem::take(&mut self.variables) {
            let Some(read) = variable.read else { continue };
            let input = self.register(read);
            let output = self.register(variable.assigned.unwrap_or(read));
            let Some(input) = self.graph.inputs.iter().position(|&id| id == input) else { continue };
            self.graph.outputs.push(output);
            let (output, initial) = (self.graph.outputs.len() - 1, variable.initial()?);
            self.graph.states.push(State { input, output, initial });
        }
        Ok(())
    }

    pub fn finish(self) -> Imported {
        Imported { graph: self.graph, source_index: self.source_index }
    }
}

pub(super) fn tensor_arithmetic(tensor: &Tensor) -> Result<Arithmetic, Refused> {
    let name = &tensor.name;
    match (tensor.dtype, &tensor.quant) {
        (DType::F32, _) => Ok(Arithmetic::Float),
        (DType::I8, Some(quant)) if quant.uniform().is_some_and(|(scale, _)| scale > 0.0) => {
            Ok(Arithmetic::Int8)
        }
        (DType::I8, Some(_)) => {
            refuse(format!("`{name}` is an activation with a scale per channel, or scale 0"))
        }
        (DType::I8 | DType::U8, None) => refuse(format!("`{name}` has 8-bit elements without a scale")),
        (DType::I16, _) => {
            Err(Refused::new(format!("`{name}` has 16-bit elements")).instead("int8 activations"))
        }
        (DType::F16, _) => {
            Err(Refused::new(format!("`{name}` is a half-precision activation"))
                .instead("float32 activations"))
        }
        (DType::I32 | DType::I64 | DType::Bool | DType::U8, _) => Err(Refused::new(format!(
            "`{name}` has {} elements and is computed while the model runs",
            format!("{:?}", tensor.dtype).to_lowercase()
        ))
        .instead("float or quantized int8 tensors")),
    }
}

/// Whether both have the same quantization, but for what converters lose in writing it down.
pub(super) fn nearly_equal(a: &Tensor, b: &Tensor) -> bool {
    match (&a.quant, &b.quant) {
        (None, None) => true,
        (Some(a), Some(b)) => match (a.uniform(), b.uniform()) {
            (Some((s, z)), Some((t, y))) => z == y && (s - t).abs() <= 1e-6 * s.abs().max(t.abs()).max(1e-6),
            _ => a == b,
        },
        _ => false,
    }
}
