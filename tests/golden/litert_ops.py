"""Golden values of single int8 operators, computed by LiteRT's reference kernels.

Run with a Python that has `ai-edge-litert` and `numpy`:
    python tests/golden/litert_ops.py > tests/golden/litert_ops.txt

Each case is one line: the operator, `key=value` pairs, and tensors as hexadecimal bytes. Scales are written as their
float32 bits, so that nothing is lost.
"""
import struct
import sys

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

RNG = np.random.default_rng(7)
TYPES = {np.dtype(np.int8): schema.TensorType.INT8, np.dtype(np.int32): schema.TensorType.INT32}


def tensor(model, graph, shape, dtype, scale=None, zero=0, data=None):
    """Adds a tensor; gives its index."""
    buffer = schema.BufferT()
    if data is not None:
        buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
    model.buffers.append(buffer)
    t = schema.TensorT()
    t.shape, t.type, t.buffer = list(shape), TYPES[np.dtype(dtype)], len(model.buffers) - 1
    t.name = f"t{len(graph.tensors)}"
    if scale is not None:
        t.quantization = schema.QuantizationParametersT()
        t.quantization.scale, t.quantization.zeroPoint = [scale], [zero]
    graph.tensors.append(t)
    return len(graph.tensors) - 1


def evaluate(code, inputs, output, options=None, options_type=0, constants=()):
    """`inputs`: (array, scale, zero); `output`: (shape, scale, zero); `constants`: indices of constant inputs."""
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT()]
    graph = schema.SubGraphT()
    graph.tensors = []
    op_code = schema.OperatorCodeT()
    op_code.builtinCode = code
    op_code.deprecatedBuiltinCode = min(code, 127)
    # LiteRT knows most of these int8 operators from version 2 on.
    op_code.version = 1 if code == schema.BuiltinOperator.PRELU else 2
    model.operatorCodes = [op_code]
    ids = []
    for k, (array, scale, zero) in enumerate(inputs):
        ids.append(tensor(model, graph, array.shape, array.dtype, scale, zero, array if k in constants else None))
    out = tensor(model, graph, output[0], np.int8, output[1], output[2])
    op = schema.OperatorT()
    op.inputs, op.outputs, op.opcodeIndex = ids, [out], 0
    op.builtinOptions, op.builtinOptionsType = options, options_type
    graph.operators = [op]
    graph.inputs, graph.outputs = [i for k, i in enumerate(ids) if k not in constants], [out]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    run = Interpreter(
        model_content=bytes(builder.Output()), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    run.allocate_tensors()
    free = [v for k, v in enumerate(inputs) if k not in constants]
    for detail, (array, _, _) in zip(run.get_input_details(), free):
        run.set_tensor(detail["index"], array)
    run.invoke()
    return run.get_tensor(run.get_output_details()[0]["index"])


def codes(shape):
    return RNG.integers(-128, 128, shape).astype(np.int8)


def scale(low, high):
    return float(np.float32(np.exp(RNG.uniform(np.log(low), np.log(high)))))


def zero():
    return int(RNG.integers(-128, 128))


def line(op, numbers, scales, tensors):
    words = [op]
    words += [f"{k}={v}" for k, v in numbers.items()]
    words += [f"{k}={struct.unpack('<I', struct.pack('<f', v))[0]:#x}" for k, v in scales.items()]
    words += [f"{k}={v.tobytes().hex()}" for k, v in tensors.items()]
    print(" ".join(words))


def binary(op, code, options, options_type, shape_a, shape_b, extra=None):
    a, b = codes(shape_a), codes(shape_b)
    sa, sb, so = scale(0.01, 0.2), scale(0.01, 0.2), scale(0.01, 0.3)
    if op == "mul":
        so = scale(0.05, 0.5) * max(sa, sb) * 40
        so = float(np.float32(so))
    za, zb, zo = zero(), zero(), zero()
    if op in ("maximum", "minimum"):
        sb, so, zb, zo = sa, sa, za, za
    shape = np.broadcast_shapes(shape_a, shape_b)
    y = evaluate(code, [(a, sa, za), (b, sb, zb)], (shape, so, zo), options, options_type)
    line(op, {"za": za, "zb": zb, "zo": zo}, {"sa": sa, "sb": sb, "so": so}, {"a": a, "b": b, "y": y})


def main():
    b = schema.BuiltinOperator
    o = schema.BuiltinOptions
    for shapes in [((1, 5, 7, 16), (1, 5, 7, 16)), ((1, 6, 5, 12), (12,)), ((1, 3, 4, 10), (1, 1, 1, 1))] * 2:
        binary("add", b.ADD, schema.AddOptionsT(), o.AddOptions, *shapes)
        binary("sub", b.SUB, schema.SubOptionsT(), o.SubOptions, *shapes)
        binary("mul", b.MUL, schema.MulOptionsT(), o.MulOptions, *shapes)
        binary("maximum", b.MAXIMUM, schema.MaximumMinimumOptionsT(), o.MaximumMinimumOptions, *shapes)
        binary("minimum", b.MINIMUM, schema.MaximumMinimumOptionsT(), o.MaximumMinimumOptions, *shapes)

    for h, w, c in [(7, 7, 24), (3, 5, 9), (1, 49, 16), (12, 13, 5), (25, 5, 16)]:
        for same in (False, True):
            x, s, z = codes((1, h, w, c)), scale(0.01, 0.2), zero()
            so, zo = (s, z) if same else (scale(0.5, 1.2) * s, zero())
            so = float(np.float32(so))
            options = schema.ReducerOptionsT()
            options.keepDims = True
            axes = np.array([1, 2], np.int32)
            y = evaluate(b.MEAN, [(x, s, z), (axes, None, 0)], ((1, 1, 1, c), so, zo), options, o.ReducerOptions, {1})
            line("mean", {"h": h, "w": w, "c": c, "z": z, "zo": zo}, {"s": s, "so": so}, {"x": x, "y": y})

    for rows, depth in [(3, 20), (2, 49), (5, 7)]:
        # No SUM: LiteRT's int8 sum gives codes that have nothing to do with the real sum.
        for op, code in [("mean_last", b.MEAN), ("max_last", b.REDUCE_MAX)]:
            x, s, z = codes((1, rows, depth)), scale(0.01, 0.2), zero()
            so, zo = s, z
            if op != "max_last":
                so, zo = float(np.float32(s * RNG.uniform(0.3, 1.5))), zero()
            options = schema.ReducerOptionsT()
            options.keepDims = False
            axes = np.array([2], np.int32)
            y = evaluate(code, [(x, s, z), (axes, None, 0)], ((1, rows), so, zo), options, o.ReducerOptions, {1})
            line(op, {"rows": rows, "depth": depth, "z": z, "zo": zo}, {"s": s, "so": so}, {"x": x, "y": y})

    for rows, depth in [(4, 10), (3, 2), (2, 100), (5, 12), (1, 1000)]:
        for beta in (1.0, 0.5):
            x, s, z = codes((rows, depth)), scale(0.003, 0.7), zero()
            options = schema.SoftmaxOptionsT()
            options.beta = beta
            y = evaluate(b.SOFTMAX, [(x, s, z)], ((rows, depth), 1 / 256, -128), options, o.SoftmaxOptions)
            line("softmax", {"rows": rows, "depth": depth}, {"s": s, "beta": beta}, {"x": x, "y": y})

    for h, w, c, kh, kw, stride, padding in [
        (9, 10, 8, 3, 3, 1, 0),
        (8, 8, 5, 2, 2, 2, 1),
        (7, 6, 17, 3, 2, 2, 0),
        (25, 5, 4, 25, 5, 1, 1),
        (6, 6, 4, 5, 5, 3, 0),
    ]:
        for op, code in [("average_pool", b.AVERAGE_POOL_2D), ("max_pool", b.MAX_POOL_2D)]:
            x, s, z = codes((1, h, w, c)), scale(0.01, 0.2), zero()
            options = schema.Pool2DOptionsT()
            options.padding, options.strideH, options.strideW = padding, stride, stride
            options.filterHeight, options.filterWidth = kh, kw
            if padding == 0:
                oh, ow = -(-h // stride), -(-w // stride)
                ph, pw = (max((n - 1) * stride + k - size, 0) // 2 for n, k, size in [(oh, kh, h), (ow, kw, w)])
            else:
                oh, ow, ph, pw = (h - kh) // stride + 1, (w - kw) // stride + 1, 0, 0
            y = evaluate(code, [(x, s, z)], ((1, oh, ow, c), s, z), options, o.Pool2DOptions)
            line(
                op,
                dict(h=h, w=w, c=c, kh=kh, kw=kw, stride=stride, ph=ph, pw=pw, oh=oh, ow=ow, z=z),
                {},
                {"x": x, "y": y},
            )

    for h, w, c in [(3, 4, 10), (5, 5, 3)] * 2:
        x, a = codes((1, h, w, c)), codes((1, 1, c))
        s, sa, so = scale(0.01, 0.2), scale(0.002, 0.02), scale(0.01, 0.2)
        z, za, zo = zero(), zero(), zero()
        y = evaluate(b.PRELU, [(x, s, z), (a, sa, za)], ((1, h, w, c), so, zo), None, 0, {1})
        line("prelu", {"z": z, "za": za, "zo": zo}, {"s": s, "sa": sa, "so": so}, {"x": x, "a": a, "y": y})

    for batch, m, k, n, adj_x, adj_y in [(2, 5, 7, 6, 0, 0), (1, 4, 33, 9, 0, 1), (3, 6, 16, 20, 1, 0)]:
        a = codes((batch, k, m) if adj_x else (batch, m, k))
        bb = codes((batch, n, k) if adj_y else (batch, k, n))
        sa, sb, za, zb, zo = scale(0.01, 0.1), scale(0.01, 0.1), zero(), zero(), zero()
        so = float(np.float32(sa * sb * 74 * 74 * np.sqrt(k) / 50))
        options = schema.BatchMatMulOptionsT()
        options.adjX, options.adjY = bool(adj_x), bool(adj_y)
        y = evaluate(
            b.BATCH_MATMUL, [(a, sa, za), (bb, sb, zb)], ((batch, m, n), so, zo), options, o.BatchMatMulOptions
        )
        line(
            "matmul",
            dict(batch=batch, m=m, k=k, n=n, ta=adj_x, tb=adj_y, za=za, zb=zb, zo=zo),
            {"sa": sa, "sb": sb, "so": so},
            {"a": a, "b": bb, "y": y},
        )


if __name__ == "__main__":
    sys.exit(main())
