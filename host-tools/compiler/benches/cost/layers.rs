//! Random networks of layers of many shapes.

use mote_compiler::convert::{Converted, Options, Precision, compile};
use mote_compiler::graph::{
    Activation, Attention, BinaryFn, DType, Data, Graph, HeadLayout, Node, Op, PoolKind, ReduceFn, Rounding,
    Spatial, Tensor, TensorId, UnaryFn,
};
use mote_compiler::quantize::{Calibration, Method, quantize};
use mote_compiler::stream::Rows;

/// Number format of a network.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Format {
    F32,
    /// Requantized by single or double rounding.
    Int8(Rounding),
}

/// A network of up to ten layers for a target; `None` if the seed's has none.
pub fn network(seed: u64, format: Format, target: u16, rows: Rows) -> Option<Converted> {
    let mut graph = Chain::new(seed).build();
    if let Format::Int8(rounding) = format {
        let length = graph.tensor(graph.inputs[0]).len();
        let mut random = Random::new(seed ^ 0x5a5a);
        let samples = (0..2).map(|_| vec![random.reals(length, 1.0)]).collect();
        let method = Method::MinMax;
        let calibration = Calibration { samples, method, round_by_error: false, ..Calibration::default() };
        graph = quantize(&graph, &calibration).ok()?.0;
        graph.nodes.iter_mut().for_each(|node| node.rounding = rounding);
    }
    let options = Options { precision: Precision::AsIs, target, rows, ..Options::default() };
    compile(graph, &options).ok()
}

/// A network that grows layer by layer.
struct Chain {
    random: Random,
    graph: Graph,
    last: TensorId,
    /// Multiplications so far.
    macs: usize,
}

/// Most multiplications of a network: it is run several times on an emulator.
const MOST: usize = 1_500_000;

impl Chain {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let rows = random.pick(&[1, 3, 5, 8, 13, 20, 25, 32]);
        let columns = random.pick(&[1, 1, 2, 3, 5, 6, 8, 12, 16, 24, 32]);
        let channels = random.pick(&[1, 2, 3, 4, 8, 16, 24, 40, 64]);
        let mut graph = Graph::default();
        let last =
            graph.add_tensor(Tensor::activation("input", vec![1, rows, columns, channels], DType::F32));
        graph.inputs = vec![last];
        Self { random, graph, last, macs: 0 }
    }

    fn build(mut self) -> Graph {
        for _ in 0..10 {
            let [rows, columns, channels] = self.shape();
            match self.random.below(20) {
                0..4 => self.conv(1, 1, channels),
                4..6 => self.conv(3, 3, channels),
                6 => {
                    let (k, l) = (self.random.pick(&[1, 2, 3, 5, 10]), self.random.pick(&[1, 2, 4, 5]));
                    self.conv(k, l, channels);
                }
                7..9 => self.depthwise(3, 3),
                9 => {
                    let (k, l) = (self.random.pick(&[1, 3, 5, 10]), self.random.pick(&[1, 3, 5]));
                    self.depthwise(k, l);
                }
                10..12 => self.residual(rows * columns * channels),
                12 => self.unary(),
                13 => self.pool(),
                14 => self.multiply(),
                15 => self.concat(),
                16 => self.norm(),
                17 => self.attend(),
                18 => self.mean(),
                _ => self.softmax(),
            }
        }
        match self.random.below(3) {
            0 => {}
            1 => self.head(),
            _ => self.dense_layers(),
        }
        self.graph.outputs = vec![self.last];
        self.graph
    }

    /// Rows, columns, channels.
    fn shape(&self) -> [usize; 3] {
        match self.graph.tensor(self.last).shape[..] {
            [_, rows, columns, channels] => [rows, columns, channels],
            _ => [1, 1, self.graph.tensor(self.last).len()],
        }
    }

    fn push(&mut self, op: Op, inputs: Vec<TensorId>, shape: Vec<usize>, activation: Activation) {
        let name = format!("{} {}", op.name(), self.graph.nodes.len());
        let output = self.graph.add_tensor(Tensor::activation(name.clone(), shape, DType::F32));
        let node = Node { activation, ..Node::new(name, op, inputs, vec![output]) };
        self.graph.nodes.push(node);
        self.last = output;
    }

    fn constant(&mut self, shape: Vec<usize>, scale: f32) -> TensorId {
        let data = Data::F32(self.random.reals(shape.iter().product(), scale).into());
        let name = format!("constant {}", self.graph.tensors.len());
        self.graph.add_tensor(Tensor::constant(name, shape, data))
    }

    fn activation(&mut self) -> Activation {
        self.random.pick(&[Activation::None, Activation::Relu, Activation::Relu, Activation::Relu6])
    }

    fn window(&mut self, k: usize, l: usize) -> (Spatial, Option<[usize; 2]>) {
        let [rows, columns, _] = self.shape();
        let stride = [self.random.pick(&[1, 1, 1, 2]), self.random.pick(&[1, 1, 1, 2])];
        let same = self.random.below(3) > 0;
        let pad = |size: usize| if same { ((size - 1) / 2, size / 2) } else { (0, 0) };
        let spatial = Spatial::over_rows_and_columns([k, l], stride, [1, 1], [pad(k), pad(l)]);
        let out = spatial.output_len(1, rows).zip(spatial.output_len(2, columns));
        (spatial, out.map(|(rows, columns)| [rows, columns]))
    }

    fn conv(&mut self, k: usize, l: usize, channels: usize) {
        let outputs = self.random.pick(&[2, 4, 5, 8, 12, 16, 24, 32, 48, 64, 96, 128]);
        let (spatial, Some([rows, columns])) = self.window(k, l) else { return };
        let macs = rows * columns * outputs * k * l * channels;
        if !self.affordable(macs) {
            return;
        }
        let weights =
            self.constant(vec![outputs, 1, k, l, channels], 1.7 / ((k * l * channels) as f32).sqrt());
        let bias = self.constant(vec![outputs], 0.1);
        let (inputs, activation) = (vec![self.last, weights, bias], self.activation());
        self.push(Op::Conv { spatial, groups: 1 }, inputs, vec![1, rows, columns, outputs], activation);
    }

    fn depthwise(&mut self, k: usize, l: usize) {
        let [.., channels] = self.shape();
        let (spatial, Some([rows, columns])) = self.window(k, l) else { return };
        if channels < 2 || !self.affordable(rows * columns * channels * k * l) {
            return;
        }
        let weights = self.constant(vec![channels, 1, k, l, 1], 1.7 / ((k * l) as f32).sqrt());
        let bias = self.constant(vec![channels], 0.1);
        let (inputs, activation) = (vec![self.last, weights, bias], self.activation());
        self.push(
            Op::Conv { spatial, groups: channels },
            inputs,
            vec![1, rows, columns, channels],
            activation,
        );
    }

    /// The sum with an earlier tensor of the same shape.
    fn residual(&mut self, length: usize) {
        if length > 40_000 {
            return;
        }
        let earlier = self.earlier();
        let activation = self.activation();
        let shape = self.graph.tensor(self.last).shape.clone();
        let function = if self.random.below(6) == 0 { BinaryFn::Sub } else { BinaryFn::Add };
        self.push(Op::Binary(function), vec![self.last, earlier], shape, activation);
    }

    fn earlier(&mut self) -> TensorId {
        let shape = &self.graph.tensor(self.last).shape;
        let alike: Vec<TensorId> = (0..self.graph.tensors.len())
            .map(TensorId)
            .filter(|&id| !self.graph.tensor(id).is_constant() && self.graph.tensor(id).shape == *shape)
            .collect();
        self.random.pick(&alike)
    }

    fn unary(&mut self) {
        let slope = UnaryFn::LeakyRelu { slope: 0.1 };
        let functions =
            [UnaryFn::Sigmoid, UnaryFn::Swish, UnaryFn::HardSwish, UnaryFn::Tanh, UnaryFn::Relu, slope];
        let function = self.random.pick(&functions);
        let shape = self.graph.tensor(self.last).shape.clone();
        self.push(Op::Unary(function), vec![self.last], shape, Activation::None);
    }

    /// By another tensor, or by a number a channel.
    fn multiply(&mut self) {
        let shape = self.graph.tensor(self.last).shape.clone();
        let [.., channels] = self.shape();
        let by = if self.random.below(2) == 0 { self.earlier() } else { self.constant(vec![channels], 1.0) };
        self.push(Op::Binary(BinaryFn::Mul), vec![self.last, by], shape, Activation::None);
    }

    fn pool(&mut self) {
        let [.., channels] = self.shape();
        let (k, l) = (self.random.pick(&[1, 2, 3]), self.random.pick(&[1, 2, 3]));
        let (spatial, Some([rows, columns])) = self.window(k, l) else { return };
        let average = PoolKind::Average { include_padding: false };
        let kind = self.random.pick(&[PoolKind::Max, average]);
        self.push(
            Op::Pool { kind, spatial },
            vec![self.last],
            vec![1, rows, columns, channels],
            Activation::None,
        );
    }

    fn concat(&mut self) {
        let [rows, columns, channels] = self.shape();
        if channels > 64 || rows * columns * channels > 20_000 {
            return;
        }
        let earlier = self.earlier();
        self.push(
            Op::Concat { axis: 3 },
            vec![self.last, earlier],
            vec![1, rows, columns, 2 * channels],
            Activation::None,
        );
    }

    fn norm(&mut self) {
        let shape = self.graph.tensor(self.last).shape.clone();
        let [.., channels] = self.shape();
        let [gamma, beta] = [1.0, 0.1].map(|scale| self.constant(vec![channels], scale));
        let op = Op::LayerNorm { axes: 1, epsilon: 1e-5 };
        self.push(op, vec![self.last, gamma, beta], shape, Activation::None);
    }

    /// Of every position to all of them.
    fn attend(&mut self) {
        let [rows, columns, channels] = self.shape();
        let depth = self.random.pick(&[4, 8, 16]);
        let positions = rows * columns;
        if channels % depth != 0 || positions > 100 || !self.affordable(2 * positions * positions * channels)
        {
            return;
        }
        let layout = HeadLayout { offset: 0, stride: depth, depth };
        let scale = (depth as f32).sqrt().recip();
        let heads = channels / depth;
        let attention = Attention { heads, scale, query: layout, key: layout, value: layout };
        let memory = self.last;
        let mut shape = self.graph.tensor(self.last).shape.clone();
        if self.random.below(2) == 0 {
            // Of one position, as streams ask.
            shape = vec![1, 1, 1, channels];
            let slice = Op::Slice { starts: vec![0; 4], steps: vec![1; 4] };
            self.push(slice, vec![memory], shape.clone(), Activation::None);
        }
        self.push(Op::Attention(attention), vec![self.last, memory, memory], shape, Activation::None);
    }

    /// Over rows, or over columns.
    fn mean(&mut self) {
        let axis = self.random.pick(&[1, 2]);
        let mut shape = self.graph.tensor(self.last).shape.clone();
        shape[axis] = 1;
        let op = Op::Reduce { function: ReduceFn::Mean, axes: vec![axis], keep_dims: true };
        self.push(op, vec![self.last], shape, Activation::None);
    }

    /// Along the channels.
    fn softmax(&mut self) {
        let shape = self.graph.tensor(self.last).shape.clone();
        let op = Op::Softmax { axis: shape.len() - 1, beta: 1.0 };
        if shape.iter().product::<usize>() <= 4000 {
            self.push(op, vec![self.last], shape, Activation::None);
        }
    }

    /// Mean, dense, softmax.
    fn head(&mut self) {
        let [.., channels] = self.shape();
        let op = Op::Reduce { function: ReduceFn::Mean, axes: vec![1, 2], keep_dims: false };
        self.push(op, vec![self.last], vec![1, channels], Activation::None);
        let classes = self.random.pick(&[2, 3, 10, 12, 32]);
        self.dense(classes, Activation::None);
        self.push(Op::Softmax { axis: 1, beta: 1.0 }, vec![self.last], vec![1, classes], Activation::None);
    }

    fn dense_layers(&mut self) {
        let length = self.graph.tensor(self.last).len();
        if length > 2048 {
            return self.head();
        }
        self.push(Op::Reshape, vec![self.last], vec![1, length], Activation::None);
        for _ in 0..3 {
            let outputs = self.random.pick(&[5, 8, 30, 64, 128, 250]);
            let activation = self.activation();
            self.dense(outputs, activation);
        }
    }

    fn dense(&mut self, outputs: usize, activation: Activation) {
        let inputs = self.graph.tensor(self.last).len();
        let weights = self.constant(vec![outputs, inputs], 1.7 / (inputs as f32).sqrt());
        let bias = self.constant(vec![outputs], 0.1);
        self.push(Op::Dense, vec![self.last, weights, bias], vec![1, outputs], activation);
    }

    fn affordable(&mut self, macs: usize) -> bool {
        let affordable = self.macs + macs <= MOST;
        self.macs += if affordable { macs } else { 0 };
        affordable
    }
}

/// A small xorshift generator.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn reals(&mut self, count: usize, scale: f32) -> Vec<f32> {
        (0..count).map(|_| scale * ((self.next() % 20001) as f32 / 10000.0 - 1.0)).collect()
    }
}
