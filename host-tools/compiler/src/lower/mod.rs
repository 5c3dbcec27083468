//! Graph operators to kernel calls.
//!
//! Each file turns one group of operators into [`Step`]s: it chooses the views in which a kernel sees its tensors,
//! describes the operator to the kernel's own `pack`, and says which inputs the kernel can overwrite. Everything
//! that cannot be lowered is listed at once.

mod attention;
mod conv;
mod elementwise;
mod global;
mod movement;
mod pool;
mod quantized;
mod recurrent;
mod rows;
pub mod sparse;
mod view;

use crate::cost::{choose::Candidate, sparse::Choice};
use crate::graph::{DType, Data, Graph, Node, Op, TensorId};
use crate::import::Refusal;
use mote_runtime::kernels::copy::CopyRows;
use mote_runtime::kernels::pack::{Packed, Packer};
use mote_runtime::plan::OperandRecord;
use sparse::Rooms;
use std::collections::HashMap;

/// A kernel call before it has addresses.
#[derive(Clone, Debug)]
pub struct Step {
    /// Name of the node.
    pub name: String,
    /// [`Op::name`] of the node.
    pub op: &'static str,
    /// Multiplications.
    pub macs: u64,
    pub packed: Packed,
    pub inputs: Vec<Operand>,
    pub output: Operand,
    /// Per input: the kernel can work where its output is the input's memory.
    pub may_be_in_place: Vec<bool>,
    /// Positions are independent of each other: where the rows lie one behind the other, they may be handed over as
    /// one long row.
    pub joinable: bool,
    /// Every output row takes the place of the one before and is made of it: all that is ever kept is one row.
    pub accumulates: bool,
    /// Every output slice is made of the one before, which has to be kept as it is until then.
    pub carries: bool,
    /// Kernels that could compute it, where there were several to choose from: the chosen one first.
    pub candidates: Vec<Candidate>,
    /// Output rows that share a window, which moves once for all of them; 1 but where there are more of them than
    /// input rows.
    pub stretch: usize,
    /// Of a layer that has many zeros: what its kernels cost.
    pub choice: Option<Choice>,
}

impl Step {
    /// A step without multiplications that has none of the properties of a [`Step`], nor works in place.
    fn new(name: String, op: &'static str, packed: Packed, inputs: Vec<Operand>, output: Operand) -> Self {
        let may_be_in_place = vec![false; inputs.len()];
        let (joinable, accumulates, carries) = (false, false, false);
        Self {
            name,
            op,
            macs: 0,
            packed,
            inputs,
            output,
            may_be_in_place,
            joinable,
            accumulates,
            carries,
            candidates: Vec::new(),
            stretch: 1,
            choice: None,
        }
    }

    /// A copy of rows, which no node of the network asks for.
    pub fn copy(name: String, from: Operand, to: Operand) -> Self {
        Self::new(name, "copy", CopyRows.pack(), vec![from], to)
    }

    /// Whether a sparse kernel was chosen.
    pub fn is_sparse(&self) -> bool {
        self.choice.is_some_and(|choice| choice.is_taken)
    }

    /// Hands over contiguous rows of independent positions as one long row.
    pub fn join_rows(&mut self) {
        if self.joinable {
            self.inputs.iter_mut().chain([&mut self.output]).for_each(Operand::join_rows);
        }
    }
}

/// A tensor in the view in which a step sees it (the view's tensor index is still open).
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    pub tensor: TensorId,
    pub view: OperandRecord,
}

impl Operand {
    /// All rows, which lie one behind the other, as one.
    fn join_rows(&mut self) {
        let v = &self.view;
        self.view = OperandRecord::rows(0, 1, v.slices * v.rows * v.row_bytes);
    }

    /// Whether rows lie at the same places in both tensors' memory.
    pub fn same_view(&self, other: &Operand) -> bool {
        let (a, b) = (&self.view, &other.view);
        (a.offset, a.slots, a.slice_stride, a.rows, a.row_stride, a.row_bytes)
            == (b.offset, b.slots, b.slice_stride, b.rows, b.row_stride, b.row_bytes)
            && (a.outer_count, a.outer_stride, a.outer_pad, a.inner_count, a.inner_stride, a.inner_pad)
                == (1, 1, 0, 1, 1, 0)
    }
}

/// A lowered network.
#[derive(Clone, Debug, Default)]
pub struct Lowered {
    /// In the order in which they run.
    pub steps: Vec<Step>,
    /// Tensors that are the bytes of another tensor (reshapes).
    pub aliases: HashMap<TensorId, TensorId>,
    /// Tensors that are the first rows of a constant, of which a stream sees all rows in turn.
    pub tables: HashMap<TensorId, TensorId>,
    /// Rings whose newest slice is in another tensor when they are read.
    pub newest: HashMap<TensorId, TensorId>,
    /// What tensors of the state hold at the start.
    pub initial: Vec<(TensorId, Data)>,
}

impl Lowered {
    /// Index of the step that makes a tensor.
    pub fn made(&self, id: TensorId) -> Option<usize> {
        self.steps.iter().position(|step| step.output.tensor == id)
    }

    /// The tensor whose bytes `id` is.
    pub fn root(&self, mut id: TensorId) -> TensorId {
        while let Some(&parent) = self.aliases.get(&id) {
            id = parent;
        }
        id
    }
}

/// Why a node has no kernel.
pub(crate) type Refused = String;

/// What the lowering of a network depends on beside the network.
pub struct Choices<'a> {
    /// Weights of float layers are stored as f16.
    pub half_weights: bool,
    /// Global means are sums that grow row by row; not where a window of frames is to be averaged.
    pub running_sums: bool,
    /// Chooses kernels of the target.
    pub packer: &'a dyn Packer,
    /// The target: one of [`target`](mote_runtime::plan::target).
    pub target: u16,
    /// Memory for the strips of sparse layers.
    pub rooms: &'a Rooms,
}

/// What an operator's lowering gets.
pub(crate) struct Context<'a> {
    pub graph: &'a mut Graph,
    pub node: &'a Node,
    pub choices: &'a Choices<'a>,
    pub out: &'a mut Lowered,
}

impl Context<'_> {
    fn dtype(&self, id: TensorId) -> DType {
        self.graph.tensor(id).dtype
    }

    fn input(&self, index: usize) -> Result<TensorId, Refused> {
        self.node.inputs.get(index).copied().ok_or_else(|| format!("input {index} is missing"))
    }

    fn output(&self) -> Result<TensorId, Refused> {
        self.node.outputs.first().copied().ok_or_else(|| "it has no output".into())
    }

    fn shape(&self, id: TensorId) -> &[usize] {
        &self.graph.tensor(id).shape
    }

    /// Scale and zero point of a quantized activation.
    fn quant(&self, id: TensorId) -> Result<(f32, i32), Refused> {
        let tensor = self.graph.tensor(id);
        let quant = tensor.quant.as_ref().and_then(|q| q.uniform());
        quant.ok_or_else(|| format!("`{}` has no per-tensor quantization", tensor.name))
    }

    /// Adds a step of this node.
    fn push(
        &mut self,
        macs: u64,
        packed: Packed,
        inputs: Vec<Operand>,
        output: Operand,
        may_be_in_place: Vec<bool>,
    ) -> &mut Step {
        let (name, op) = (self.node.name.clone(), self.node.op.name());
        let step = Step { macs, may_be_in_place, ..Step::new(name, op, packed, inputs, output) };
        let index = self.out.steps.len();
        self.out.steps.push(step);
        &mut self.out.steps[index]
    }
}

/// Lowers all nodes. The graph may gain tensors (intermediate results of an operator that takes several steps).
pub fn lower(graph: &mut Graph, choices: &Choices<'_>) -> Result<Lowered, Vec<Refusal>> {
    let mut out = Lowered::default();
    let mut refusals = Vec::new();
    for node in graph.nodes.clone() {
        let mut context = Context { graph, node: &node, choices, out: &mut out };
        if let Err(reason) = lower_node(&mut context) {
            let (node, operator) = (node.name.clone(), node.op.name().into());
            refusals.push(Refusal { node, operator, reason, instead: None });
        }
    }
    if refusals.is_empty() { Ok(out) } else { Err(refusals) }
}

fn lower_node(cx: &mut Context<'_>) -> Result<(), Refused> {
    match &cx.node.op {
        Op::Conv { .. } => conv::convolution(cx),
        Op::Dense => conv::dense(cx),
        Op::MatMul { .. } => conv::matmul(cx),
        Op::Attention(_) => attention::attention(cx),
        Op::Binary(_) => elementwise::binary(cx),
        Op::Unary(_) => elementwise::unary(cx),
        Op::Lookup { .. } => elementwise::lookup(cx),
        Op::Prelu => elementwise::prelu(cx),
        Op::Pool { .. } => pool::pool(cx),
        Op::Reduce { .. } => pool::reduce(cx),
        Op::Softmax { .. } => rows::softmax(cx),
        Op::LayerNorm { .. } => rows::layer_norm(cx),
        Op::BatchNorm { .. } => Err("batch normalisation that no neighbour could take up".into()),
        Op::Concat { .. } => movement::concat(cx),
        Op::Slice { .. } => movement::slice(cx),
        Op::Pad { .. } => movement::pad(cx),
        Op::Transpose { .. } => movement::transpose(cx),
        Op::Reshape => movement::reshape(cx),
        Op::Collect => recurrent::collect(cx),
        Op::Gru { .. } | Op::Lstm => recurrent::recurrent(cx),
        Op::BroadcastTo => movement::broadcast_to(cx),
        Op::Resize { .. } => movement::resize(cx),
        Op::Gather { .. } => movement::gather(cx),
        Op::Recycle { .. } => movement::recycle(cx),
        Op::Quantize | Op::Dequantize | Op::Requantize | Op::Cast => quantized::convert(cx),
    }
}
