//! What must hold of a mutated file: it is refused with words, or accepted and then works.

use mote_compiler::convert::{Options, compile, import};
use mote_compiler::executor::Executor;
use mote_compiler::graph::Graph;
use mote_runtime::engine::Progress;
use mote_runtime::kernels::PORTABLE;
use mote_runtime::plan::RegionKind;
use mote_runtime::{Engine, Error, Plan};

use crate::corpus::{Entry, Kind};
use crate::line;

/// What became of a file. Everything else is a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// With an error that says something.
    Refused(String),
    /// And run, if it is not too large for that.
    Accepted { ran: bool },
}

/// Elements of all activations beyond which an accepted network is not run.
const LARGE: usize = 1 << 20;
/// Bytes of arena and state beyond which an accepted plan is not run, as on a small machine.
const LARGE_ARENA: usize = 4 << 20;
/// Frames that an endless plan is given.
const FRAMES: usize = 24;

/// Reads a file as what its original was.
pub fn judge(entry: &Entry, bytes: &[u8]) -> Verdict {
    match entry.kind {
        Kind::Plan => plan(bytes),
        Kind::Tflite | Kind::Onnx => model(bytes),
        Kind::Line => line::judge(bytes),
    }
}

fn refused(error: &dyn std::error::Error) -> Verdict {
    let words = error.to_string();
    assert!(words.len() > 10, "an error without words: {error:?}");
    Verdict::Refused(words)
}

fn plan(bytes: &[u8]) -> Verdict {
    let sizes = match Plan::parse(bytes) {
        Ok(plan) => plan.arena_bytes() + plan.state_bytes(),
        Err(error) => return refused(&error),
    };
    if sizes > LARGE_ARENA {
        return too_little_memory(bytes);
    }
    let mut executor = match Executor::new(bytes) {
        Ok(executor) => executor,
        Err(error) => return refused(&error),
    };
    let first = executor.with(drive).unwrap_or_else(|error| panic!("an accepted plan: {error}"));
    // A damaged plan may read arena that none of its steps wrote, where the last run has left something. In fresh
    // memory that is 0, and nothing else may make two runs differ.
    let mut fresh = Executor::new(bytes).unwrap_or_else(|error| panic!("accepted before: {error}"));
    let second = fresh.with(drive).unwrap_or_else(|error| panic!("an accepted plan: {error}"));
    assert!(first == second, "two runs in fresh memory differ");
    Verdict::Accepted { ran: true }
}

/// A plan that asks for much must be refused by an engine that has little.
fn too_little_memory(bytes: &[u8]) -> Verdict {
    let aligned = mote_compiler::executor::AlignedBytes::from_slice(bytes);
    let checked = Plan::parse(aligned.as_ref()).unwrap_or_else(|error| panic!("parsed before: {error}"));
    if let Err(error) = PORTABLE.check_plan(&checked) {
        return refused(&error);
    }
    match Engine::new(&checked, &[], &mut [], &mut []).map(|_| ()) {
        Err(error @ (Error::Arena { .. } | Error::State { .. })) => refused(&error),
        other => panic!("without memory: {other:?}"),
    }
}

/// Feeds a plan in the way that it asks for; gives all bytes that come out. What a plan can't do is an error that
/// the engine tells before it does anything.
fn drive(engine: &mut Engine<'_>) -> Result<Vec<u8>, Error> {
    engine.reset();
    let mut results = Vec::new();
    for index in 0..engine.inputs() {
        // An input that is delivered slice by slice has no place as a whole.
        let Ok(mut input) = engine.input(index) else { continue };
        for (i, byte) in input.bytes_mut().iter_mut().enumerate() {
            *byte = (i * 31 + index) as u8;
        }
    }
    let plan = engine.plan();
    let driven = plan.region(0).filter(|region| region.port != mote_runtime::plan::NONE);
    let port = driven.and_then(|region| plan.port(region.port.into()));
    let view = port.and_then(|port| plan.operand(port.operand.into()));
    let outcome = match (driven, view) {
        (Some(region), Some(view)) => {
            let frame: Vec<u8> = (0..view.rows as usize * view.row_bytes as usize).map(|i| i as u8).collect();
            let endless = region.kind == RegionKind::Endless as u8;
            let frames = if endless { FRAMES } else { (view.slices as usize).min(4 * FRAMES) };
            (0..frames).try_for_each(|_| {
                let progress = if endless { engine.step(&frame)? } else { engine.push(&frame)? };
                if progress == Progress::Ready {
                    collect(engine, &mut results)?;
                }
                Ok(())
            })
        }
        _ => engine.run().and_then(|()| collect(engine, &mut results)),
    };
    match outcome {
        // Such as an endless region behind another: told, not run.
        Err(Error::Drive | Error::Port { .. }) => Ok(results),
        Err(error) => Err(error),
        Ok(()) => Ok(results),
    }
}

fn collect(engine: &Engine<'_>, results: &mut Vec<u8>) -> Result<(), Error> {
    (0..engine.outputs()).try_for_each(|index| {
        results.extend_from_slice(engine.output(index)?.bytes());
        Ok(())
    })
}

fn model(bytes: &[u8]) -> Verdict {
    let options = Options::default();
    let imported = match import(bytes, &options) {
        Ok(imported) => imported,
        Err(error) => return refused(&error),
    };
    imported.graph.validate().unwrap_or_else(|error| panic!("an imported graph: {error}"));
    if activations(&imported.graph) > LARGE {
        return Verdict::Accepted { ran: false };
    }
    let converted = match compile(imported.graph, &options) {
        Ok(converted) => converted,
        Err(mote_compiler::convert::ConvertError::Refused(error)) => panic!("its own plan: {error}"),
        Err(error) => return refused(&error),
    };
    plan(&converted.plan)
}

/// Elements of all activations.
fn activations(graph: &Graph) -> usize {
    let tensors = graph.tensors.iter().filter(|tensor| !tensor.is_constant());
    tensors.fold(0, |sum: usize, tensor| {
        let len = tensor.shape.iter().try_fold(1usize, |product, &axis| product.checked_mul(axis));
        sum.saturating_add(len.unwrap_or(usize::MAX))
    })
}
