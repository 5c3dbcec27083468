//! GRU and LSTM: what the frames add to the gates is a dense layer; only the recurrence is an operator of its own.

use super::dense::dense;
use crate::graph::Op;
use crate::import::onnx::call::{Call, Res, Value, reject, reject_for, size_of};
use crate::import::onnx::importer::Importer;
use crate::import::onnx::literal::Literal;

/// Gates of a kind of layer, and its states.
struct Kind {
    gates: usize,
    states: usize,
    activations: &'static [&'static str],
}

/// `Y`, `Y_h` and, of an LSTM, `Y_c`.
pub(super) fn recurrent(cx: &mut Importer, call: &Call) -> Res<Vec<Value>> {
    let lstm = call.op() == "LSTM";
    let kind = match lstm {
        true => Kind { gates: 4, states: 2, activations: &["Sigmoid", "Tanh", "Tanh"] },
        false => Kind { gates: 3, states: 1, activations: &["Sigmoid", "Tanh"] },
    };
    refuse_options(cx, call, &kind)?;
    let directions: &[bool] = match call.string("direction", "forward") {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return reject(format!("direction `{other}`")),
    };
    let x = call.input(0)?;
    let [frames, 1, inputs] = cx.shape_of(x)?[..] else {
        return reject_for(
            format!("an operand {:?}", cx.shape_of(x)?),
            "[frames, 1, inputs]: a batch of one",
        );
    };
    let size = size_of(call.int("hidden_size", 0))?;
    // The batch in front, as everywhere.
    let x = cx.reshape(&format!("{}_x", call.name), x, &[1, frames, inputs])?;
    let mut all: Vec<Vec<Value>> = vec![Vec::new(); 1 + kind.states];
    for (index, &reverse) in directions.iter().enumerate() {
        let layer = Layer { cx, call, kind: &kind, index, frames, inputs, size };
        let states = layer.states(&x, reverse)?;
        let last = if reverse { 0 } else { frames - 1 };
        for (s, state) in states.iter().enumerate() {
            let name = format!("{}_last", call.name);
            let state = cx.part(&name, state, 1, last, 1)?;
            all[1 + s].push(cx.reshape(&name, &state, &[1, 1, size])?);
        }
        all[0].push(cx.reshape(&call.name, &states[0], &[frames, 1, 1, size])?);
    }
    all.iter().enumerate().map(|(k, parts)| cx.concat(&call.name, parts, usize::from(k == 0))).collect()
}

fn refuse_options(cx: &Importer, call: &Call, kind: &Kind) -> Res<()> {
    if call.flag("layout", false) {
        return reject_for("layout = 1 (batch first)", "layout = 0, with a Transpose around it");
    }
    if call.attribute("clip").is_some() || call.flag("input_forget", false) {
        return reject("clip or input_forget");
    }
    if call.optional(7).is_some() {
        return reject("peepholes (input 7)");
    }
    if let Some(given) = call.attribute("activations") {
        let names: Vec<_> = given.strings.iter().map(|name| String::from_utf8_lossy(name)).collect();
        if !names.chunks(kind.activations.len()).all(|names| names == kind.activations) {
            return reject_for(
                format!("activations {names:?}"),
                format!("the usual ones, {:?}", kind.activations),
            );
        }
    }
    if let Some(lengths) = call.optional_constant(4, "sequence_lens")? {
        let frames = cx.shape_of(call.input(0)?)?.first().copied().unwrap_or(0) as i64;
        if lengths.ints()?.iter().any(|&length| length != frames) {
            return reject("sequences that are shorter than the operand");
        }
    }
    Ok(())
}

/// One direction.
struct Layer<'c, 'i, 'm> {
    cx: &'c mut Importer<'i>,
    call: &'c Call<'m>,
    kind: &'c Kind,
    index: usize,
    frames: usize,
    inputs: usize,
    size: usize,
}

impl Layer<'_, '_, '_> {
    /// The hidden state behind each frame, `[1, frames, size]`, and the cell's.
    fn states(self, x: &Value, reverse: bool) -> Res<Vec<Value>> {
        let Kind { gates, states, .. } = *self.kind;
        let (size, frames, name) = (self.size, self.frames, self.call.name.clone());
        let weights = self.parameter(1, "W", &[gates * size, self.inputs])?;
        let recurrence = self.parameter(2, "R", &[gates * size, size])?;
        let bias = match self.call.optional(3) {
            Some(_) => self.parameter(3, "B", &[2 * gates * size])?.reals(),
            None => vec![0.0; 2 * gates * size],
        };
        let mut initial = Vec::new();
        for state in 0..states {
            initial.extend(match self.call.optional(5 + state) {
                Some(_) => self.parameter(5 + state, "an initial state", &[size])?.reals(),
                None => vec![0.0; size],
            });
        }
        let (of_input, of_recurrence) = bias.split_at(gates * size);
        // The biases of an LSTM are one; a GRU's candidate sees one of them through its reset gate.
        let of_input: Vec<f32> = match states {
            2 => of_input.iter().zip(of_recurrence).map(|(a, b)| a + b).collect(),
            _ => of_input.to_vec(),
        };
        let Layer { cx, call, .. } = self;
        let backwards: Vec<i64> = (0..frames as i64).rev().collect();
        let turned = |cx: &mut Importer, x: &Value| {
            cx.gather(&name, x, 1, &Literal::from_ints(format!("{name}_backwards"), backwards.clone()))
        };
        let x = if reverse { turned(cx, x)? } else { x.clone() };
        let of_input = Literal::floats(format!("{name}_bias"), vec![gates * size], of_input);
        let x = dense(cx, &format!("{name}_gates"), &x, weights, Some(of_input))?;
        let mut inputs = vec![cx.operand(&x)?, cx.new_constant(recurrence)?];
        if states == 1 {
            let bias =
                Literal::floats(format!("{name}_recurrent_bias"), vec![gates * size], of_recurrence.to_vec());
            inputs.push(cx.new_constant(bias)?);
        }
        inputs.push(cx.new_constant(Literal::floats(
            format!("{name}_initial"),
            vec![initial.len()],
            initial,
        ))?);
        let op = match states {
            1 => Op::Gru { reset_before: !call.flag("linear_before_reset", false) },
            _ => Op::Lstm,
        };
        let mut y: Value = cx.node(&name, op, inputs, vec![1, frames, states * size]).into();
        if reverse {
            y = turned(cx, &y)?;
        }
        (0..states).map(|s| cx.part(&format!("{name}_state"), &y, 2, s * size, size)).collect()
    }

    /// This direction's part of a constant, in `shape`.
    fn parameter(&self, input: usize, what: &str, shape: &[usize]) -> Res<Literal> {
        let literal = self.call.constant(input, what)?;
        let length: usize = shape.iter().product();
        let reals = literal.reals();
        match reals.get(self.index * length..(self.index + 1) * length) {
            Some(own) => {
                Ok(Literal::floats(format!("{}_{input}", self.call.name), shape.to_vec(), own.to_vec()))
            }
            None => reject(format!("{what} of shape {:?} for {} units", literal.shape, self.size)),
        }
    }
}
