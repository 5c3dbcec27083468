//! Translation of single operators, one file per group. A translation takes the node with its resolved operands
//! and answers its outputs: constants where everything was known, activations otherwise.

mod conv;
mod dense;
mod elementwise;
mod movement;
mod norm;
mod pool;
mod quant;
mod recurrent;
mod reduce;
mod resize;
mod values;

use super::call::{Call, Res, Value, reject, reject_for};
use super::importer::Importer;

/// Translates one node.
pub(super) fn translate(cx: &mut Importer, call: &Call) -> Res<Vec<Value>> {
    if let Some(folded) = cx.fold_elementwise(call) {
        return folded.map(|value| vec![value]);
    }
    let one = |value: Res<Value>| value.map(|v| vec![v]);
    match call.op() {
        "Constant" => one(values::constant(call)),
        "ConstantOfShape" => one(values::constant_of_shape(cx, call)),
        "Shape" => one(values::shape(cx, call)),
        "Size" => one(values::size(cx, call)),
        "Range" => one(values::range(cx, call)),
        "Cast" | "CastLike" => one(values::cast(cx, call)),
        "Where" => one(values::choose(cx, call)),
        "Identity" | "Dropout" => one(values::identity(call)),

        "Conv" => one(conv::conv(cx, call)),
        "GRU" | "LSTM" => recurrent::recurrent(cx, call),
        "Gemm" => one(dense::gemm(cx, call)),
        "MatMul" => one(dense::matmul(cx, call)),
        "MaxPool" | "AveragePool" => one(pool::pool(cx, call)),
        "GlobalAveragePool" | "GlobalMaxPool" => one(pool::global(cx, call)),
        "Resize" | "Upsample" => one(resize::resize(cx, call)),

        "Softmax" => one(norm::softmax(cx, call)),
        "LayerNormalization" => one(norm::layer_norm(cx, call)),
        "BatchNormalization" => one(norm::batch_norm(cx, call)),
        "InstanceNormalization" | "GroupNormalization" => one(norm::group_norm(cx, call)),

        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "Min" | "Max" | "Sum" | "Mean" => {
            one(elementwise::arithmetic(cx, call))
        }
        "PRelu" => one(elementwise::prelu(cx, call)),
        "Clip" => one(elementwise::clip(cx, call)),
        op if elementwise::function(op, call).is_some() => one(elementwise::unary(cx, call)),

        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL2" | "ReduceSumSquare"
        | "ReduceProd" => one(reduce::reduce(cx, call)),

        "Concat" => one(movement::concat(cx, call)),
        "Split" => movement::split(cx, call),
        "Slice" => one(movement::slice(cx, call)),
        "Pad" => one(movement::pad(cx, call)),
        "Transpose" => one(movement::transpose(cx, call)),
        "Reshape" => one(movement::reshape(cx, call)),
        "Flatten" => one(movement::flatten(cx, call)),
        "Squeeze" => one(movement::squeeze(cx, call)),
        "Unsqueeze" => one(movement::unsqueeze(cx, call)),
        "Expand" => one(movement::expand(cx, call)),
        "Tile" => one(movement::tile(cx, call)),
        "Gather" => one(movement::gather(cx, call)),
        "DepthToSpace" | "SpaceToDepth" => one(movement::depth_space(cx, call)),

        "QuantizeLinear" => one(quant::quantize(cx, call)),
        "DequantizeLinear" => one(quant::dequantize(cx, call)),
        op => refusal(op),
    }
}

/// Says no to an operator that has no translation.
pub(super) fn refusal<T>(op: &str) -> Res<T> {
    match untranslated(op) {
        Some((reason, instead)) => reject_for(reason, instead),
        None => reject("this operator is not known"),
    }
}

/// Whether an operator has any translation; asked for nodes whose operands are unknown, so that a list of
/// refusals holds them as well.
pub(super) fn is_known(op: &str) -> bool {
    const OPS: &[&str] = &[
        "Constant",
        "ConstantOfShape",
        "Shape",
        "Size",
        "Range",
        "Cast",
        "CastLike",
        "Where",
        "Identity",
        "Dropout",
        "Conv",
        "Gemm",
        "MatMul",
        "MaxPool",
        "AveragePool",
        "GlobalAveragePool",
        "GlobalMaxPool",
        "Resize",
        "Upsample",
        "Softmax",
        "LayerNormalization",
        "BatchNormalization",
        "InstanceNormalization",
        "GroupNormalization",
        "Add",
        "Sub",
        "Mul",
        "Div",
        "Pow",
        "Min",
        "Max",
        "Sum",
        "Mean",
        "PRelu",
        "Clip",
        "Relu",
        "LeakyRelu",
        "Elu",
        "Sigmoid",
        "Tanh",
        "HardSwish",
        "HardSigmoid",
        "Gelu",
        "Erf",
        "Exp",
        "Log",
        "Sqrt",
        "Reciprocal",
        "Abs",
        "Neg",
        "Softplus",
        "Mish",
        "Floor",
        "Ceil",
        "Round",
        "Sin",
        "Cos",
        "ReduceMean",
        "ReduceSum",
        "ReduceMax",
        "ReduceMin",
        "ReduceL2",
        "ReduceSumSquare",
        "ReduceProd",
        "Concat",
        "Split",
        "Slice",
        "Pad",
        "Transpose",
        "Reshape",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Expand",
        "Tile",
        "Gather",
        "GRU",
        "LSTM",
        "DepthToSpace",
        "SpaceToDepth",
        "QuantizeLinear",
        "DequantizeLinear",
        "Equal",
        "Less",
        "LessOrEqual",
        "Greater",
        "GreaterOrEqual",
        "And",
        "Or",
        "Xor",
        "Not",
        "Sign",
        "Mod",
    ];
    OPS.contains(&op)
}

/// Operators without a translation for which there is advice.
fn untranslated(op: &str) -> Option<(&'static str, &'static str)> {
    Some(match op {
        "If" | "Loop" | "Scan" => (
            "control flow in the model",
            "export with fixed shapes (torch: trace instead of script), or onnxsim",
        ),
        "RNN" => ("plain recurrent layers have no kernel", "GRU, LSTM, or a temporal convolution"),
        "ConvTranspose" => {
            ("transposed convolution has no kernel", "Resize (nearest or linear) followed by a convolution")
        }
        "ConvInteger" | "MatMulInteger" | "DynamicQuantizeLinear" | "DynamicQuantizeMatMul" => {
            ("scales computed at run time", "static quantization: quantize_static, export as QDQ")
        }
        op if op.starts_with("QLinear") => (
            "an operator of the QOperator format",
            "export as QDQ: quantize_static(quant_format=QuantFormat.QDQ)",
        ),
        "LogSoftmax" => ("it has no kernel", "Softmax, and the logarithm after the run"),
        "ArgMax" | "ArgMin" | "TopK" | "NonMaxSuppression" | "NonZero" | "Hardmax" => {
            ("indices are no part of a plan", "end the network before it and do this step after the run")
        }
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" | "And" | "Or" | "Xor" | "Not"
        | "Mod" | "Sign" => {
            ("it is computed at import only, but its operands are known at run time", "Max, Min or Clip")
        }
        "Einsum" => ("it has no translation", "MatMul and Transpose"),
        "GatherElements" | "GatherND" | "ScatterND" | "ScatterElements" | "Scatter" => {
            ("indexing at run time", "Gather with constant indices, or Slice")
        }
        "LpNormalization" | "LRN" | "MeanVarianceNormalization" => {
            ("this normalization has no translation", "BatchNormalization or LayerNormalization")
        }
        "LpPool" | "GlobalLpPool" | "MaxUnpool" | "MaxRoiPool" | "RoiAlign" | "GridSample" => {
            ("this sampling has no kernel", "MaxPool, AveragePool or Resize")
        }
        _ => return None,
    })
}
