//! Regions over rows against whole tensors, on random stacks of every operator that can go row by row: each byte of the
//! result must be the same, whether the rows are delivered or the input is there as a whole.

use super::rows::over_rows;
use super::{Network, Region, Ring, Rows, apply};
use crate::convert::{Options, compile};
use crate::emit::{Extras, emit};
use crate::executor::Executor;
use crate::graph::{BinaryFn, Graph, Op, PoolKind, ReduceFn, Spatial, TensorId, UnaryFn};
use crate::graph::{NearestRounding, ResizeCoordinates, ResizeMode};
use crate::lower::sparse::{Room, Rooms};
use crate::lower::{Choices, Lowered, lower};
use crate::passes::optimize;
use crate::passes::testing::{Build, Random};
use crate::quantize::{Calibration, quantize};
use crate::schedule::schedule;
use crate::targets;
use mote_runtime::Error;
use mote_runtime::plan::{RegionKind, target};
use std::collections::BTreeMap;

/// What a region must be able to hold.
const OPERATORS: [&str; 16] = [
    "to more rows than delivered ones",
    "to more rows than whole ones",
    "conv",
    "max_pool",
    "average_pool",
    "add",
    "mul",
    "concat",
    "prelu",
    "resize_nearest",
    "resize_bilinear",
    "slice",
    "softmax",
    "layer_norm",
    "mean",
    "sigmoid",
];

#[test]
fn rows_equal_whole_tensors_f32() {
    compare(false, &OPERATORS);
}

#[test]
fn rows_equal_whole_tensors_int8() {
    compare(true, &OPERATORS[..15]);
}

fn compare(int8: bool, operators: &[&str]) {
    let mut random = Random(if int8 { 77 } else { 78 });
    // Of each operator: steps in regions over rows.
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    // The same, several rows at a time.
    let mut several: BTreeMap<&str, usize> = BTreeMap::new();
    for number in 0..300 {
        let graph = stack(&mut random);
        let graph = prepared(graph, int8, number);
        let input = graph.tensor(graph.inputs[0]);
        let bytes: Vec<u8> = match int8 {
            true => (0..input.len()).map(|_| random.next() as u8).collect(),
            false => (0..input.len()).flat_map(|_| random.signed().to_le_bytes()).collect(),
        };
        let whole = run(&graph, None, &bytes, &mut BTreeMap::new());
        for (delivered, burst) in [(true, 1), (false, 1), (true, 2), (false, 2), (true, 3), (false, 3)] {
            let seen = if burst == 1 { &mut seen } else { &mut several };
            let rows = run(&graph, Some((delivered, burst)), &bytes, seen);
            assert_eq!(rows, whole, "stack {number}, delivered {delivered}, {burst}: {:#?}", graph.nodes);
        }
    }
    println!("steps in regions over rows: {seen:?}; several rows at a time: {several:?}");
    for operator in ["conv", "max_pool", "add", "concat", "slice", "softmax"] {
        assert!(several.get(operator).is_some_and(|&count| count >= 10), "{operator}: {several:?}");
    }
    for operator in operators {
        assert!(seen.get(operator).is_some_and(|&count| count >= 10), "{operator}: {seen:?}");
    }
}

/// The runtime refuses every ring of which a reader would find one slice overwritten: so none could be shorter.
#[test]
fn rings_are_as_short_as_can_be() {
    let mut random = Random(79);
    let (mut rings, mut stretched) = (0, 0);
    for number in 0..300 {
        let mut graph = prepared(stack(&mut random), true, number);
        let lowered = lowered(&mut graph);
        let network = Network::new(&graph, &lowered);
        let burst = 1 + number as usize % 2;
        let Some(region) = longest(&network, Some(graph.inputs[0]), burst) else { continue };
        let (end, steps) = (region.steps.end, lowered.steps.len());
        let regions = [Some(region), (end < steps).then(|| Region::plain(end..steps))];
        let regions: Vec<Region> = regions.into_iter().flatten().collect();
        assert!(planned(&graph, &lowered, &regions).is_ok());
        for (&id, ring) in regions[0].rings.iter().filter(|(_, ring)| ring.slots > 1 && !ring.shared) {
            let mut shorter = regions.clone();
            shorter[0].rings.insert(id, Ring { slots: ring.slots - 1, ..*ring });
            assert!(
                planned(&graph, &lowered, &shorter).is_err(),
                "stack {number}: {ring:?} of {:#?}",
                graph.nodes
            );
            rings += 1;
            stretched += usize::from(lowered.steps.iter().any(|s| s.stretch > 1 && s.inputs[0].tensor == id));
        }
    }
    println!("{rings} rings, {stretched} of them in front of more rows");
    assert!(rings > 200 && stretched > 20);
}

/// A target that shares weights between rows is given two of them at a time where rows have one column, if memory hardly
/// grows.
#[test]
fn rows_of_one_column_come_in_twos() {
    let mut build = Build::new();
    let mut x = build.input(&[1, 40, 1, 16]);
    x = build.conv(x, 16, 3, 1, 5);
    x = build.conv_padded(x, 32, 1, 1, 0, 6);
    x = build.conv(x, 24, 3, 1, 7);
    let graph = prepared(build.finish(&[x]), true, 3);
    let bytes: Vec<u8> = (0..40 * 16).map(|i: usize| (i * i % 251) as u8).collect();
    let convert =
        |target, rows| compile(graph.clone(), &Options { target, rows, ..Options::default() }).unwrap();
    let whole = convert(target::PORTABLE, Rows::Off);
    let want = Executor::new(&whole.plan).unwrap().run(&[&bytes[..]]).unwrap();
    for (target, burst) in [(target::PORTABLE, 1), (target::CORTEX_M4, 1), (target::CORTEX_M55, 2)] {
        let converted = convert(target, Rows::Auto);
        let rates = converted.regions.iter().filter(|region| region.kind == RegionKind::Rows);
        let bursts: Vec<usize> =
            rates.flat_map(|region| region.rates.iter().map(|rate| rate.burst)).collect();
        assert!(!bursts.is_empty() && bursts.iter().all(|&found| found == burst), "{target}: {bursts:?}");
        let found = Executor::new(&converted.plan).unwrap().run(&[&bytes[..]]).unwrap();
        assert_eq!(found, want, "{target}");
    }
}

fn prepared(mut graph: Graph, int8: bool, seed: u64) -> Graph {
    optimize(&mut graph);
    if int8 {
        let calibration = Calibration::random(&graph, 2, seed);
        graph = quantize(&graph, &calibration).unwrap().0;
    }
    graph
}

/// The result with whole tensors, or with the longest region over rows from the first step on that is possible: whether
/// rows are delivered, and how many are made at a time.
fn run(
    graph: &Graph,
    by_rows: Option<(bool, usize)>,
    bytes: &[u8],
    seen: &mut BTreeMap<&'static str, usize>,
) -> Vec<Vec<u8>> {
    let mut graph = graph.clone();
    let lowered = lowered(&mut graph);
    let steps = lowered.steps.len();
    let mut regions = vec![Region::plain(0..steps)];
    if let Some((delivered, burst)) = by_rows {
        let network = Network::new(&graph, &lowered);
        if let Some(region) = longest(&network, delivered.then_some(graph.inputs[0]), burst) {
            for step in &lowered.steps[region.steps.clone()] {
                *seen.entry(step.op).or_default() += 1;
                let kind = if delivered {
                    "to more rows than delivered ones"
                } else {
                    "to more rows than whole ones"
                };
                *seen.entry(kind).or_default() += usize::from(step.stretch > 1);
            }
            let end = region.steps.end;
            regions = vec![region];
            if end < steps {
                regions.push(Region::plain(end..steps));
            }
        }
    }
    planned(&graph, &lowered, &regions).unwrap().run(&[bytes]).unwrap()
}

fn lowered(graph: &mut Graph) -> Lowered {
    let packer = targets::profile(0).packer;
    lower(
        graph,
        &Choices {
            half_weights: false,
            running_sums: true,
            packer,
            target: 0,
            rooms: &Rooms::all(Room::None),
        },
    )
    .unwrap()
}

fn longest(network: &Network<'_>, delivered: Option<TensorId>, burst: usize) -> Option<Region> {
    (1..=network.steps().len()).rev().find_map(|end| over_rows(network, 0..end, delivered, burst))
}

fn planned(graph: &Graph, lowered: &Lowered, regions: &[Region]) -> Result<Executor, Error> {
    let mut lowered = lowered.clone();
    apply(graph, &mut lowered, regions);
    let schedule = schedule(graph, &lowered, regions);
    Executor::new(&emit(graph, &lowered, regions, &schedule, &Extras::default()).unwrap())
}

/// One to five random layers on a small picture, and a mean over it at the end of some.
fn stack(random: &mut Random) -> Graph {
    let mut build = Build::new();
    let mut x = build.input(&[1, 4 + random.below(9), 3 + random.below(5), 1 + random.below(5)]);
    for _ in 0..1 + random.below(5) {
        x = layer(&mut build, x, random);
    }
    if random.below(4) == 0 {
        x = build.reduce(ReduceFn::Mean, x, &[1, 2], true);
    }
    build.finish(&[x])
}

fn layer(build: &mut Build, x: TensorId, random: &mut Random) -> TensorId {
    let shape = build.shape(x);
    let (height, width, channels) = (shape[1], shape[2], shape[3]);
    let seed = random.next() % 1000;
    match random.below(19) {
        0 => conv(build, x, random, seed, 1 + random_channels(seed)),
        1 => conv(build, x, random, seed, 0),
        2 => pool(build, x, random, PoolKind::Max),
        3 => pool(build, x, random, PoolKind::Average { include_padding: false }),
        4 => pool(build, x, random, PoolKind::Average { include_padding: true }),
        5 => {
            let inner = build.conv(x, channels, 3, 1, seed);
            build.binary(BinaryFn::Add, x, inner)
        }
        6 => {
            let other = build.conv(x, 2, 3, 1, seed);
            build.concat(&[x, other], 3)
        }
        7 => {
            let other = build.conv(x, channels, 3, 1, seed);
            build.concat(&[other, x], 2)
        }
        8 => {
            let (factor, summand) = (build.constant(&[channels], seed), build.weights(&[channels], seed + 1));
            let scaled = build.binary(BinaryFn::Mul, x, factor);
            build.binary(BinaryFn::Add, scaled, summand)
        }
        9 => build
            .unary([UnaryFn::Relu, UnaryFn::Sigmoid, UnaryFn::HardSwish, UnaryFn::Tanh][random.below(4)], x),
        10 => {
            let slope = build.weights(&[channels], seed);
            let output = build.activation(&shape);
            build.push(Op::Prelu, &[x, slope], output)
        }
        11 | 12 if height * width <= 200 => {
            let factors = [1 + random.below(3), 1 + random.below(3)];
            resize(build, x, random, [height * factors[0], width * factors[1]])
        }
        13 => {
            let factor = [3, 2, 1].into_iter().find(|&factor| height.is_multiple_of(factor)).unwrap_or(1);
            let to = 1 + random.below(2 * width);
            resize(build, x, random, [height / factor, to])
        }
        14 if height > 4 => {
            let starts = [0, random.below(3), 0, random.below(channels)];
            let to = [1, height - starts[1] - random.below(2), width, channels - starts[3]];
            build.slice(x, &starts, &[1; 4], &to)
        }
        15 | 16 => {
            // Fewer rows and back again, beside a skip path.
            let Some(factor) = [3, 2].into_iter().find(|&factor| height.is_multiple_of(factor)) else {
                return x;
            };
            let fewer = build.conv_padded(x, channels, 3, factor, 1, seed);
            let inner = build.conv(fewer, channels, 3, 1, seed + 2);
            let more = resize(build, inner, random, [height, width]);
            build.binary(BinaryFn::Add, x, more)
        }
        17 => {
            // A gate needs the whole picture: it ends a region.
            let mean = build.reduce(ReduceFn::Mean, x, &[1, 2], true);
            let gate = build.conv_padded(mean, channels, 1, 1, 0, seed);
            let gate = build.unary(UnaryFn::Sigmoid, gate);
            build.binary(BinaryFn::Mul, x, gate)
        }
        _ if random.below(2) == 0 => build.softmax(x, 3),
        _ => {
            let (gamma, beta) = (build.constant(&[channels], seed), build.weights(&[channels], seed + 1));
            let output = build.activation(&shape);
            build.push(Op::LayerNorm { axes: 1, epsilon: 1e-3 }, &[x, gamma, beta], output)
        }
    }
}

fn random_channels(seed: u64) -> usize {
    (seed % 6) as usize
}

/// A window that fits, with or without padding at either end.
fn window(shape: &[usize], random: &mut Random, dilates: bool) -> Option<Spatial> {
    let mut axis = |length: usize| {
        let (size, stride) = (1 + random.below(4), 1 + random.below(3));
        let dilation = if dilates { 1 + random.below(2) } else { 1 };
        let reach = (size - 1) * dilation;
        // A pool needs a real value in each window.
        let pad = (random.below(2.min(size)), random.below(2.min(size)));
        (reach < length).then_some((size, stride, dilation, pad))
    };
    let (rows, columns) = (axis(shape[1])?, axis(shape[2])?);
    Some(Spatial::over_rows_and_columns(
        [rows.0, columns.0],
        [rows.1, columns.1],
        [rows.2, columns.2],
        [rows.3, columns.3],
    ))
}

/// Depthwise if `columns` is 0.
fn conv(build: &mut Build, x: TensorId, random: &mut Random, seed: u64, columns: usize) -> TensorId {
    let shape = build.shape(x);
    let Some(spatial) = window(&shape, random, true) else { return x };
    let (groups, depth, columns) =
        if columns == 0 { (shape[3], 1, shape[3]) } else { (1, shape[3], columns) };
    let weights = build.weights(&[columns, 1, spatial.size[1], spatial.size[2], depth], seed);
    let bias = build.weights(&[columns], seed + 1);
    let length = |axis: usize| spatial.output_len(axis, shape[axis]).unwrap();
    let output = build.activation(&[1, length(1), length(2), columns]);
    build.push(Op::Conv { spatial, groups }, &[x, weights, bias], output)
}

fn pool(build: &mut Build, x: TensorId, random: &mut Random, kind: PoolKind) -> TensorId {
    let shape = build.shape(x);
    let Some(spatial) = window(&shape, random, false) else { return x };
    let length = |axis: usize| spatial.output_len(axis, shape[axis]).unwrap();
    let output = build.activation(&[1, length(1), length(2), shape[3]]);
    build.push(Op::Pool { kind, spatial }, &[x], output)
}

fn resize(build: &mut Build, x: TensorId, random: &mut Random, [height, width]: [usize; 2]) -> TensorId {
    let roundings =
        [NearestRounding::Floor, NearestRounding::Ceil, NearestRounding::HalfDown, NearestRounding::HalfUp];
    let mode = match random.below(2) {
        0 => ResizeMode::Bilinear,
        _ => ResizeMode::Nearest { rounding: roundings[random.below(4)] },
    };
    let coordinates = match random.below(3) {
        0 => ResizeCoordinates::HalfPixel { pytorch: random.below(2) == 0 },
        1 => ResizeCoordinates::AlignCorners,
        _ => ResizeCoordinates::Asymmetric,
    };
    let output = build.activation(&[1, height, width, build.shape(x)[3]]);
    build.push(Op::Resize { mode, coordinates }, &[x], output)
}
