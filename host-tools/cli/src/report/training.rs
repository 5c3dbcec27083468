//! The trained end of a network: its memory by part, and the files that firmware is built from.

use super::grouped;
use crate::failure::Outcome;
use crate::files::write;
use crate::npy;
use mote_compiler::train::Trained;
use mote_runtime::plan::DType;
use mote_runtime::train::{Axis, Layer, Training};
use serde_json::{Value, json};
use std::path::Path;

/// Bytes that training takes, by part; with those that the frozen network works in.
pub fn parts(trained: &Trained, arena: usize, state: usize) -> Vec<(&'static str, usize)> {
    let memory = trained.memory;
    // A network that is trained as a whole is not run by its plan meanwhile.
    let (arena, state) = if trained.whole { (0, 0) } else { (arena, state) };
    vec![
        ("arena", arena),
        ("state", state),
        ("sample", 4 * trained.features),
        ("parameters", memory.parameters),
        ("gradients", memory.gradients),
        ("momentum", memory.momentum),
        ("saved", memory.saved),
        ("work", memory.work),
    ]
}

/// As lines of `mote convert`.
pub fn text(trained: &Trained, arena: usize, state: usize) -> String {
    let parts = parts(trained, arena, state);
    let total: usize = parts.iter().map(|(_, bytes)| bytes).sum();
    let list: Vec<String> = parts
        .iter()
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(part, bytes)| format!("{} {part}", grouped(*bytes as u64)))
        .collect();
    let number = |count: usize| grouped(count as u64);
    format!(
        "  train   {} parameters in {} layers, {} frozen floats ({} bytes of flash); a sample is {} numbers\n  \
         memory  {} bytes to train in: {}\n",
        number(trained.parameters.len()),
        trained.layers.len(),
        number(trained.frozen.len()),
        number(4 * trained.frozen.len()),
        number(trained.features),
        number(total),
        list.join(", ")
    )
}

pub fn to_json(trained: &Trained, arena: usize, state: usize) -> Value {
    let parts = parts(trained, arena, state);
    let total: usize = parts.iter().map(|(_, bytes)| bytes).sum();
    let parts: serde_json::Map<String, Value> =
        parts.into_iter().map(|(part, bytes)| (part.to_owned(), bytes.into())).collect();
    let layers = trained.layers.iter().zip(&trained.names).map(|(layer, node)| {
        let mut value = self::layer(layer);
        value["node"] = node.clone().into();
        value
    });
    json!({
        "features": trained.features, "parameters": trained.parameters.len(), "frozen": trained.frozen.len(),
        "whole": trained.whole, "memory_bytes": total, "memory": parts, "layers": layers.collect::<Value>(),
    })
}

fn layer(layer: &Layer) -> Value {
    let axis = |axis: &Axis| {
        let Axis { input, window, stride, before, after } = *axis;
        json!({"input": input, "window": window, "stride": stride, "before": before, "after": after})
    };
    let mut value = match layer {
        Layer::Conv(l, _) => json!({"kind": "conv", "rows": axis(&l.rows), "columns": axis(&l.columns),
            "channels": l.channels, "outputs": l.outputs}),
        Layer::Depthwise(l, _) => {
            json!({"kind": "depthwise", "rows": axis(&l.rows), "columns": axis(&l.columns),
            "channels": l.channels})
        }
        Layer::Relu { len } => json!({"kind": "relu", "len": len}),
        Layer::MaxPool(l) => json!({"kind": "max_pool", "rows": axis(&l.rows), "columns": axis(&l.columns),
            "channels": l.channels}),
        Layer::MeanPool(l) => json!({"kind": "mean_pool", "rows": axis(&l.rows), "columns": axis(&l.columns),
            "channels": l.channels}),
        other => json!({"kind": format!("{other:?}")}),
    };
    value["trained"] = match layer.training() {
        Training::Nothing => "nothing",
        Training::Bias => "bias",
        Training::All => "all",
    }
    .into();
    value
}

/// Writes files beside the plan `net.mote`: `net.train.json` with the layers, and their numbers, f32, of each layer in order
/// its weights (`[height][width][channels in][channels out]`), then its biases: `net.parameters.npy` those that are
/// trained, `net.frozen.npy` the others, if there are any.
pub fn save(plan: &Path, trained: &Trained, told: &Value) -> Outcome {
    write(&plan.with_extension("train.json"), &serde_json::to_vec_pretty(told).unwrap_or_default())?;
    for (name, numbers) in [("parameters.npy", &trained.parameters), ("frozen.npy", &trained.frozen)] {
        if !numbers.is_empty() {
            let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
            npy::save(&plan.with_extension(name), DType::F32, &[numbers.len() as u64], &bytes)?;
        }
    }
    Ok(())
}
