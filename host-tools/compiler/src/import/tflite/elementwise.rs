//! Arithmetic with and without broadcasting, activation functions, reductions and softmax.

use super::activation::{self, Fused};
use super::build::{Arithmetic, Builder, FileNode, Step};
use super::refused::{Refused, refuse};
use super::shape::{axis_of, broadcast};
use crate::graph::{BinaryFn, Data, Op, ReduceFn, UnaryFn};
use tract_tflite::tflite::{ActivationFunctionType as A, BuiltinOperator as B};

pub(super) fn binary(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let op = &node.op;
    let (function, fused) = match node.code {
        B::ADD => (
            BinaryFn::Add,
            op.builtin_options_as_add_options().map_or(A::NONE, |o| o.fused_activation_function()),
        ),
        B::SUB => (
            BinaryFn::Sub,
            op.builtin_options_as_sub_options().map_or(A::NONE, |o| o.fused_activation_function()),
        ),
        B::MUL => (
            BinaryFn::Mul,
            op.builtin_options_as_mul_options().map_or(A::NONE, |o| o.fused_activation_function()),
        ),
        B::DIV => (
            BinaryFn::Div,
            op.builtin_options_as_div_options().map_or(A::NONE, |o| o.fused_activation_function()),
        ),
        B::MAXIMUM => (BinaryFn::Max, A::NONE),
        B::MINIMUM => (BinaryFn::Min, A::NONE),
        B::SQUARED_DIFFERENCE => (BinaryFn::SquaredDifference, A::NONE),
        _ => (BinaryFn::Pow, A::NONE),
    };
    let fused = Fused::read(fused)?;
    let (x, y) = (b.input(node, 0)?, b.input(node, 1)?);
    let shape = broadcast(b.shape(x), b.shape(y))?;
    let target = b.output(node, 0, &shape)?;
    let step = Step::new(Op::Binary(function), [x, y]);
    let constant = b.is_constant(x) && b.is_constant(y);
    if !(constant && b.tensor(x).data.as_ref().is_some_and(|d| d.to_i64().is_some())) {
        let kind = b.arithmetic(&[x, y], &target.tensor)?;
        match (kind, function) {
            // The format's kernels compare the stored numbers.
            (Arithmetic::Int8, BinaryFn::Max | BinaryFn::Min) => b.same_quant(&[x, y], &target.tensor)?,
            (Arithmetic::Int8, BinaryFn::Div | BinaryFn::Pow) => {
                return Err(Refused::new(format!(
                    "{} of quantized numbers is not supported",
                    function.name()
                ))
                .instead("float32, or MUL"));
            }
            _ => {}
        }
    }
    activation::emit(b, node, step, target, fused)
}

pub(super) fn unary(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let function = match node.code {
        B::LOGISTIC => UnaryFn::Sigmoid,
        B::TANH => UnaryFn::Tanh,
        B::RELU => UnaryFn::Relu,
        B::RELU6 => UnaryFn::Relu6,
        B::RELU_N1_TO_1 => UnaryFn::Clip { min: -1.0, max: 1.0 },
        B::RELU_0_TO_1 => UnaryFn::Clip { min: 0.0, max: 1.0 },
        B::LEAKY_RELU => UnaryFn::LeakyRelu {
            slope: node.op.builtin_options_as_leaky_relu_options().map_or(0.0, |o| o.alpha()),
        },
        B::ELU => UnaryFn::Elu { alpha: 1.0 },
        B::HARD_SWISH => UnaryFn::HardSwish,
        B::GELU => UnaryFn::Gelu {
            approximate: node.op.builtin_options_as_gelu_options().is_some_and(|o| o.approximate()),
        },
        B::ABS => UnaryFn::Abs,
        B::NEG => UnaryFn::Neg,
        B::EXP => UnaryFn::Exp,
        B::LOG => UnaryFn::Log,
        B::SQRT => UnaryFn::Sqrt,
        B::RSQRT => UnaryFn::Rsqrt,
        B::SQUARE => UnaryFn::Square,
        B::FLOOR => UnaryFn::Floor,
        B::CEIL => UnaryFn::Ceil,
        B::ROUND => UnaryFn::Round,
        B::SIN => UnaryFn::Sin,
        B::COS => UnaryFn::Cos,
        _ => return refuse("this operator is not supported"),
    };
    let x = b.input(node, 0)?;
    let shape = b.shape(x).to_vec();
    let target = b.output(node, 0, &shape)?;
    b.arithmetic(&[x], &target.tensor)?;
    b.emit(Step::new(Op::Unary(function), [x]), target).map(|_| ())
}

pub(super) fn prelu(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let (x, slope) = (b.input(node, 0)?, b.input(node, 1)?);
    let shape = b.shape(x).to_vec();
    if broadcast(&shape, b.shape(slope))? != shape {
        return refuse(format!("slopes of shape {:?} do not fit {shape:?}", b.shape(slope)));
    }
    let target = b.output(node, 0, &shape)?;
    b.arithmetic(&[x, slope], &target.tensor)?;
    b.emit(Step::new(Op::Prelu, [x, slope]), target).map(|_| ())
}

pub(super) fn reduce(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let keep_dims = node.op.builtin_options_as_reducer_options().is_some_and(|o| o.keep_dims());
    let x = b.input(node, 0)?;
    let dims = b.shape(x).to_vec();
    let mut axes = Vec::new();
    for axis in b.ints(node, 1, "the list of axes")? {
        axes.push(axis_of(axis, dims.len())?);
    }
    axes.sort_unstable();
    axes.dedup();
    let kept = |(axis, &length): (usize, &usize)| match (axes.contains(&axis), keep_dims) {
        (false, _) => Some(length),
        (true, true) => Some(1),
        (true, false) => None,
    };
    let shape: Vec<usize> = dims.iter().enumerate().filter_map(kept).collect();
    let function = match node.code {
        B::MEAN => ReduceFn::Mean,
        B::SUM => ReduceFn::Sum,
        B::REDUCE_MAX => ReduceFn::Max,
        _ => return product(b, node, x, &axes, &shape),
    };
    let target = b.output(node, 0, &shape)?;
    if b.arithmetic(&[x], &target.tensor)? == Arithmetic::Int8 && function == ReduceFn::Max {
        b.same_quant(&[x], &target.tensor)?;
    }
    b.emit(Step::new(Op::Reduce { function, axes, keep_dims }, [x]), target).map(|_| ())
}

/// The number of elements of a shape: the only product that occurs in inference.
fn product(
    b: &mut Builder<'_>,
    node: &FileNode<'_>,
    x: super::build::V,
    axes: &[usize],
    shape: &[usize],
) -> Result<(), Refused> {
    let all = axes.len() == b.shape(x).len();
    if !b.is_constant(x) || !all {
        return Err(
            Refused::new("the product over axes is only supported for shapes").instead("a chain of MUL")
        );
    }
    let numbers = b.ints_of(x, "the operand")?;
    let Some(product) = numbers.iter().try_fold(1i64, |p, &n| p.checked_mul(n)) else {
        return refuse("its product overflows");
    };
    let data = match i32::try_from(product) {
        Ok(small) if b.tensor(x).dtype == crate::graph::DType::I32 => Data::I32([small].into()),
        _ => Data::I64([product].into()),
    };
    b.constant_output(node, shape, data, None)
}

pub(super) fn softmax(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let beta = node.op.builtin_options_as_softmax_options().map_or(1.0, |o| o.beta());
    if !beta.is_finite() {
        return refuse("its beta is not a number");
    }
    let x = b.input(node, 0)?;
    let shape = b.shape(x).to_vec();
    let Some(axis) = shape.len().checked_sub(1) else { return refuse("its input is a single number") };
    let target = b.output(node, 0, &shape)?;
    b.arithmetic(&[x], &target.tensor)?;
    b.emit(Step::new(Op::Softmax { axis, beta }, [x]), target).map(|_| ())
}
