//! TFLite files to [`Graph`](crate::graph::Graph).
//!
//! The file is read through its schema and translated operator by operator; nothing is executed and nothing is
//! rewritten but what the conventions of the graph ask for (weight layouts, `uint8` to `int8`, padding as
//! numbers). The file may be hostile: every index, shape and length is checked, and memory is bounded by the
//! file's length.
//!
//! Rounding of int8 nodes follows the format's reference kernels, as measured on random operands: single for
//! FULLY_CONNECTED (constant or computed weights, one scale or many), double for everything else that
//! requantizes (CONV_2D, BATCH_MATMUL, ADD, SUB, MUL, MEAN, LEAKY_RELU, QUANTIZE).
//!
//! * `read`: shapes, types, quantization and data of the file's tensors; `sparse`: sparse constants.
//! * `build`: the graph under construction; `fold`: constant operands.
//! * `conv`, `elementwise`, `shape`, `slice`, `quantization`: the operators; `activation`: fused ones.
//! * `variable`: what is kept from run to run.
//! * `refused`: what is said about everything else.

mod activation;
mod build;
mod conv;
mod elementwise;
mod fold;
mod quantization;
mod read;
mod refused;
mod shape;
mod slice;
mod sparse;
#[cfg(test)]
mod tests;
mod variable;

use super::{ImportError, Imported, Refusal};
use build::{Builder, FileNode};
use read::File;
use refused::{Refused, unknown_operator};
use std::collections::HashSet;
use tract_tflite::tflite as schema;
use tract_tflite::tflite::BuiltinOperator as B;

/// A longer list helps nobody, and damaged files could make it long.
const MAX_REFUSALS: usize = 10_000;

/// Translates the first subgraph of a TFLite model.
///
/// An open batch axis becomes 1. [`Imported::source_index`] holds TFLite's tensor indices.
pub fn import(bytes: &[u8]) -> Result<Imported, ImportError> {
    let file = File::open(bytes)?;
    let mut refusals = Vec::new();
    let mut open = None;
    let (inputs, outputs) = (file.inputs.clone(), file.outputs.clone());
    let operators = file.operators.clone();
    let mut builder = Builder::new(file, bytes.len());

    for index in inputs {
        let name = usize::try_from(index).map_or_else(|_| index.to_string(), |i| builder.file.tensor_name(i));
        let index = usize::try_from(index).unwrap_or(usize::MAX);
        if let Ok(declared) = builder.file.declared(index)
            && let Some(&axis) = declared.open.iter().find(|&&axis| axis > 0)
        {
            let input = name.clone();
            open.get_or_insert(ImportError::OpenAxis { input, axis, symbol: "-1".to_string() });
        }
        if let Err(refused) = builder.graph_input(index) {
            refusals.push(refusal(name, "input of the model".to_string(), refused));
        }
    }

    // Tensors whose shape nobody knows because the node that computes them was refused.
    let mut unknown = HashSet::new();
    for (position, op) in operators.into_iter().enumerate() {
        if refusals.len() >= MAX_REFUSALS {
            break;
        }
        let (node, operator) = match file_node(&builder.file, op, position) {
            Ok(found) => found,
            Err(refused) => {
                refusals.push(refusal(format!("operator {position}"), "?".to_string(), refused));
                continue;
            }
        };
        let custom = operator.custom_code();
        let translated = translate(&mut builder, &node, custom);
        let Err(refused) = translated else { continue };
        // Behind a node of unknown shape, only what is wrong with the operator itself is worth saying. With an
        // open axis, no shape is known at all.
        let hazy = open.is_some() || node.inputs.iter().flatten().any(|index| unknown.contains(index));
        if !hazy || !is_known(node.code) {
            refusals.push(refusal(node.name.clone(), operator_name(node.code, custom), refused));
        }
        for &index in &node.outputs {
            if builder.stand_in(index) || hazy {
                unknown.insert(index);
            }
        }
    }
    if refusals.is_empty()
        && let Some(open) = open
    {
        return Err(open);
    }

    for index in outputs {
        if let Err(refused) = builder.graph_output(index)
            && refusals.is_empty()
        {
            let name =
                usize::try_from(index).map_or_else(|_| index.to_string(), |i| builder.file.tensor_name(i));
            refusals.push(refusal(name, "output of the model".to_string(), refused));
        }
    }
    if refusals.is_empty()
        && let Err(refused) = builder.tie_states()
    {
        refusals.push(refusal("variables".to_string(), "VAR_HANDLE".to_string(), refused));
    }
    if !refusals.is_empty() {
        return Err(ImportError::Unsupported(refusals));
    }
    let imported = builder.finish();
    if imported.graph.outputs.is_empty() {
        return Err(read::malformed("it has no outputs"));
    }
    imported.graph.validate()?;
    Ok(imported)
}

fn refusal(node: String, operator: String, refused: Refused) -> Refusal {
    Refusal { node, operator, reason: refused.reason, instead: refused.instead }
}

/// The node's indices, and the operator's code.
fn file_node<'a>(
    file: &File<'a>,
    op: schema::Operator<'a>,
    position: usize,
) -> Result<(FileNode<'a>, schema::OperatorCode<'a>), Refused> {
    let code = usize::try_from(op.opcode_index()).ok().and_then(|i| file.codes.get(i)).copied();
    let Some(code) = code else { return refused::refuse("it names an operator code that does not exist") };
    let builtin = file.builtin(&op).unwrap_or(B::CUSTOM);
    let inputs = op.inputs().map(|v| v.iter().map(|i| usize::try_from(i).ok()).collect()).unwrap_or_default();
    let outputs: Vec<i32> = op.outputs().map(|v| v.iter().collect()).unwrap_or_default();
    let outputs: Result<Vec<usize>, _> = outputs.into_iter().map(usize::try_from).collect();
    let Ok(outputs) = outputs else { return refused::refuse("it has a negative output") };
    let name =
        outputs.first().map_or_else(|| format!("operator {position}"), |&index| file.tensor_name(index));
    Ok((FileNode { op, code: builtin, name, inputs, outputs }, code))
}

/// The operator's name in the file's format; custom ones with their own.
fn operator_name(code: B, custom: Option<&str>) -> String {
    match (code.variant_name(), custom) {
        (Some("CUSTOM"), Some(name)) => name.chars().take(80).collect(),
        (Some(name), _) => name.to_string(),
        (None, _) => format!("operator code {}", code.0),
    }
}

fn translate(b: &mut Builder<'_>, node: &FileNode<'_>, custom: Option<&str>) -> Result<(), Refused> {
    match translator(node.code) {
        Some(translator) => translator(b, node),
        None => Err(unknown_operator(node.code, custom)),
    }
}

fn is_known(code: B) -> bool {
    translator(code).is_some()
}

type Translator = fn(&mut Builder<'_>, &FileNode<'_>) -> Result<(), Refused>;

fn translator(code: B) -> Option<Translator> {
    Some(match code {
        B::CONV_2D => conv::conv_2d,
        B::DEPTHWISE_CONV_2D => conv::depthwise_conv_2d,
        B::FULLY_CONNECTED => conv::fully_connected,
        B::BATCH_MATMUL => conv::batch_matmul,
        B::AVERAGE_POOL_2D | B::MAX_POOL_2D => conv::pool_2d,
        B::ADD | B::SUB | B::MUL | B::DIV | B::MAXIMUM | B::MINIMUM | B::SQUARED_DIFFERENCE | B::POW => {
            elementwise::binary
        }
        B::LOGISTIC
        | B::TANH
        | B::RELU
        | B::RELU6
        | B::RELU_N1_TO_1
        | B::RELU_0_TO_1
        | B::LEAKY_RELU
        | B::ELU
        | B::HARD_SWISH
        | B::GELU
        | B::ABS
        | B::NEG
        | B::EXP
        | B::LOG
        | B::SQRT
        | B::RSQRT
        | B::SQUARE
        | B::FLOOR
        | B::CEIL
        | B::ROUND
        | B::SIN
        | B::COS => elementwise::unary,
        B::PRELU => elementwise::prelu,
        B::MEAN | B::SUM | B::REDUCE_MAX | B::REDUCE_PROD => elementwise::reduce,
        B::SOFTMAX => elementwise::softmax,
        B::RESHAPE => shape::reshape,
        B::SQUEEZE => shape::squeeze,
        B::EXPAND_DIMS => shape::expand_dims,
        B::SHAPE => shape::shape,
        B::FILL => shape::fill,
        B::RANGE => shape::range,
        B::TRANSPOSE => shape::transpose,
        B::BROADCAST_TO => shape::broadcast_to,
        B::DEPTH_TO_SPACE | B::SPACE_TO_DEPTH => shape::block_to_depth,
        B::PAD | B::PADV2 => shape::pad,
        B::MIRROR_PAD => shape::mirror_pad,
        B::RESIZE_BILINEAR | B::RESIZE_NEAREST_NEIGHBOR => shape::resize,
        B::CONCATENATION => slice::concatenation,
        B::PACK => slice::pack,
        B::SPLIT | B::SPLIT_V => slice::split,
        B::UNPACK => slice::unpack,
        B::SLICE => slice::slice,
        B::STRIDED_SLICE => slice::strided_slice,
        B::GATHER => slice::gather,
        B::QUANTIZE => quantization::quantize,
        B::DEQUANTIZE => quantization::dequantize,
        B::DENSIFY => quantization::densify,
        B::CAST => quantization::cast,
        B::VAR_HANDLE => variable::var_handle,
        B::READ_VARIABLE => variable::read_variable,
        B::ASSIGN_VARIABLE => variable::assign_variable,
        B::CALL_ONCE => variable::call_once,
        _ => return None,
    })
}
