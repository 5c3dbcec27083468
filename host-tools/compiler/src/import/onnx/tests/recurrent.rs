//! Recurrent layers, and networks that take one step at a time with states as inputs and outputs.

use super::model::{Model, int, model, text};
use crate::convert::{Options, compile};
use crate::executor::Executor;
use crate::graph::eval::evaluate;
use crate::graph::{Data, Graph, Op};
use mote_runtime::engine::Progress;

fn layer(op: &str, gates: i64, directions: i64) -> Model {
    let (units, inputs) = (2, 3);
    model(17)
        .input("x", &[4, 1, inputs])
        .weights("w", &[directions, gates * units, inputs])
        .weights("r", &[directions, gates * units, units])
        .weights("b", &[directions, 2 * gates * units])
        .floats("h", &[directions, 1, units], &vec![0.5; (directions * units) as usize])
        .node(op, &["x", "w", "r", "b", "", "h"], &["y", "last"], &[int("hidden_size", units)])
        .output("y")
        .output("last")
}

fn input(len: usize) -> Data {
    Data::F32((0..len).map(|i| (i * 7 % 11) as f32 / 40.0 - 0.1).collect())
}

#[test]
fn both_ways_are_two_layers() {
    let forwards = layer("GRU", 3, 1).graph();
    let both = {
        let mut m = layer("GRU", 3, 2);
        m.graph.node[0].attribute.push(text("direction", "bidirectional"));
        m.graph()
    };
    assert_eq!(both.nodes.iter().filter(|node| matches!(node.op, Op::Gru { .. })).count(), 2);
    let (one, two) = (evaluate(&forwards, &[input(12)]).unwrap(), evaluate(&both, &[input(12)]).unwrap());
    let (one, two) = ([one[0].to_f32(), one[1].to_f32()], [two[0].to_f32(), two[1].to_f32()]);
    // [frames, directions, 1, units]: the first direction is the layer alone.
    assert_eq!((one[0].len(), two[0].len(), two[1].len()), (8, 16, 4));
    for frame in 0..4 {
        assert_eq!(one[0][2 * frame..][..2], two[0][4 * frame..][..2]);
    }
    // The last state: of the way there behind the last frame, of the way back behind the first.
    assert_eq!(two[1], [&two[0][12..14], &two[0][2..4]].concat());
}

#[test]
fn a_memory_has_two_states() {
    let mut m = layer("LSTM", 4, 1).output("cell").floats("c", &[1, 1, 2], &[0.25, -0.25]);
    m.graph.node[0].input.push("c".into());
    m.graph.node[0].output.push("cell".into());
    let graph = m.graph();
    let results = evaluate(&graph, &[input(12)]).unwrap();
    assert_eq!(results.iter().map(Data::len).collect::<Vec<_>>(), [8, 2, 2]);
    assert_eq!(results[0].to_f32()[6..], results[1].to_f32());
    // The hidden state is a part of tanh of the cell's.
    let (h, c) = (results[1].to_f32(), results[2].to_f32());
    assert!(h.iter().zip(&c).all(|(h, c)| h.abs() <= c.tanh().abs() && h * c > 0.0));
}

#[test]
fn what_recurrent_layers_cannot_do_is_refused() {
    let refused = |change: &dyn Fn(&mut Model), word: &str| {
        let mut m = layer("GRU", 3, 1);
        change(&mut m);
        let refusals = m.refusals();
        assert!(refusals.len() == 1 && refusals[0].reason.contains(word), "{refusals:?}");
    };
    refused(&|m| m.graph.node[0].attribute.push(int("layout", 1)), "layout");
    refused(&|m| m.graph.node[0].attribute.push(text("direction", "sideways")), "sideways");
    refused(&|m| m.graph.node[0].attribute.push(int("input_forget", 1)), "input_forget");
    refused(&|m| m.graph.node[0].attribute[0] = int("hidden_size", 3), "for 3 units");
}

/// A shift buffer, a sum, a chain of two delays, and two states that change places.
fn steps() -> Model {
    model(17)
        .input("x", &[1, 2])
        .input("s0", &[3, 2])
        .input("s1", &[1, 2])
        .input("s2", &[1, 2])
        .input("s3", &[1, 2])
        .input("left", &[1, 2])
        .input("right", &[1, 2])
        .ints("one", &[1])
        .ints("four", &[4])
        .ints("zero", &[0])
        .weights("w", &[4, 2])
        .node("Concat", &["s0", "x"], &["buffer"], &[int("axis", 0)])
        .node("Slice", &["buffer", "one", "four", "zero"], &["ns0"], &[])
        .node("Mul", &["buffer", "w"], &["weighted"], &[])
        .node("ReduceSum", &["weighted", "zero"], &["filtered"], &[int("keepdims", 1)])
        .node("Add", &["s1", "x"], &["ns1"], &[])
        .node("Identity", &["x"], &["ns2"], &[])
        .node("Identity", &["s2"], &["ns3"], &[])
        .node("Sub", &["left", "x"], &["left_changed"], &[])
        .node("Identity", &["right"], &["new_left"], &[])
        .node("Concat", &["filtered", "ns1", "s3", "right", "left_changed"], &["y"], &[int("axis", 1)])
        .output("y")
        .output("ns0")
        .output("ns1")
        .output("ns2")
        .output("ns3")
        .output("new_left")
        .output("left_changed")
}

/// What the graph gives step by step, its outputs given back to its inputs.
fn reference(graph: &Graph, frames: &[Data]) -> Vec<Vec<f32>> {
    let mut inputs: Vec<Data> = graph.inputs.iter().map(|&id| input(graph.tensor(id).len())).collect();
    for state in &graph.states {
        inputs[state.input] = state.initial.clone();
    }
    let mut results = Vec::new();
    for frame in frames {
        inputs[0] = frame.clone();
        let outputs = evaluate(graph, &inputs).unwrap();
        for state in &graph.states {
            inputs[state.input] = outputs[state.output].clone();
        }
        results.push(outputs[0].to_f32());
    }
    results
}

#[test]
fn states_are_kept_from_step_to_step() {
    let mut m = steps();
    m.options.states = vec![("left".into(), "new_left".into()), ("right".into(), "left_changed".into())];
    let graph = m.graph();
    assert_eq!(graph.states.len(), 6);
    let frames: Vec<Data> = (0..9).map(|t| Data::F32(vec![t as f32 + 0.5, 1.0 - t as f32].into())).collect();
    let want = reference(&graph, &frames);
    for no_passes in [true, false] {
        let converted = compile(graph.clone(), &Options { no_passes, ..Options::default() }).unwrap();
        let mut executor = Executor::new(&converted.plan).unwrap();
        executor
            .with(|engine| {
                assert_eq!((engine.inputs(), engine.outputs()), (1, 1));
                for round in 0..2 {
                    for (t, frame) in frames.iter().enumerate() {
                        assert_eq!(engine.step(&frame.to_bytes())?, Progress::Ready);
                        let got: Vec<f32> = engine.output(0)?.reals().collect();
                        assert_eq!(got, want[t], "round {round}, step {t}, no_passes {no_passes}");
                    }
                    engine.reset();
                }
                Ok(())
            })
            .unwrap();
        // Only the shift buffer is made where it lies; the others are copied.
        let copies = converted.steps.iter().filter(|step| step.op == "copy").count();
        assert!((5..=9).contains(&copies), "{copies} copies");
    }
}

#[test]
fn pairs_that_don_t_fit_are_refused() {
    let mut m = steps();
    m.options.states = vec![("left".into(), "ns0".into())];
    let error = m.import().unwrap_err().to_string();
    assert!(error.contains("left") && error.contains("[3, 2]"), "{error}");
    m.options.states = vec![("left".into(), "nowhere".into())];
    assert!(m.import().unwrap_err().to_string().contains("nowhere"));
}
