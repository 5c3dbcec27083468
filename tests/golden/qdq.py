"""int8 QDQ versions of the vision networks, and ONNX Runtime's answers.

    python tests/golden/qdq.py --filled <folder> [model ...]

Quantizes the skeletons that vision.py wrote with onnxruntime's quantize_static
and writes vision/<model>_qdq.onnx.gz and .json; the networks with all their
weights go to <folder>. README.md holds the formats.
"""

import argparse
import math
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import skeleton
from vision import DISABLE, INPUT_SEEDS, OUT, answers, b64, image, session, with_outputs, write

CALIBRATION_SEEDS = [9301, 9302, 9303, 9304, 9305, 9306]
INT8 = [
    "efficientformer_l1", "efficientformerv2_s0", "tinynet_a", "tinynet_e", "mobilenetv1_100",
    "mobilenetv2_100", "mobilenetv3_small_100", "efficientnet_lite0",
]
# Our name: (float network, activations).
MODELS = {f"{m}_qdq": (m, QuantType.QInt8) for m in INT8} | {
    "efficientformerv2_s0_qdq_u8": ("efficientformerv2_s0", QuantType.QUInt8),
    "mobilenetv2_100_qdq_u8": ("mobilenetv2_100", QuantType.QUInt8),
}


class Pictures(CalibrationDataReader):
    def __init__(self, shape):
        self.left = [image(s, shape) for s in CALIBRATION_SEEDS]

    def get_next(self):
        return {"input": self.left.pop(0)} if self.left else None


def quantize(filled, activations, shape):
    with tempfile.TemporaryDirectory() as folder:
        source, prepared, target = (str(Path(folder) / f"{n}.onnx") for n in "abc")
        onnx.save(filled, source)
        # Its optimiser would fold weights that the recipes have to reproduce.
        quant_pre_process(source, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            prepared, target, Pictures(shape), quant_format=QuantFormat.QDQ, per_channel=True,
            weight_type=QuantType.QInt8, activation_type=activations, calibrate_method=CalibrationMethod.MinMax,
        )
        return onnx.load(target)


def make(quantized, float_skeleton):
    """Empties every tensor that a recipe of the float network explains."""
    source = skeleton.recipes(float_skeleton)
    by_name = {t.name: t for t in quantized.graph.initializer}
    dequantize = {n.input[0]: n for n in quantized.graph.node if n.op_type == "DequantizeLinear"}
    corrected = 0
    for t in quantized.graph.initializer:
        if math.prod(t.dims) <= skeleton.LARGE or t.data_type not in skeleton.DTYPES:
            continue
        if t.name in source:
            skeleton.set_recipe(quantized, "seed", t.name, " ".join(source[t.name][1]))
        elif t.name.endswith("_quantized") and t.name.removesuffix("_quantized") in source:
            node = dequantize[t.name]
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            axis = axis if math.prod(by_name[node.input[1]].dims) > 1 else -1
            fields = source[t.name.removesuffix("_quantized")][1] + [str(axis), node.input[1], node.input[2]]
            skeleton.set_recipe(quantized, "quant", t.name, " ".join(fields))
        else:
            continue
        old = numpy_helper.to_array(t)
        new = skeleton.data(quantized, t, skeleton.recipes(quantized)[t.name], by_name)
        corrected += int((old != new).sum())
        skeleton.empty(t)
    return corrected


def probes(model, x):
    """[tensor, mean, deviation, min, max] of every quantised activation."""
    names = [n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]
    found = session(with_outputs(model, names), DISABLE).run(names, {"input": x})
    g = lambda v: float(f"{v:.5g}")
    return [[n, g(y.mean()), g(y.std()), int(y.min()), int(y.max())] for n, y in zip(names, found)]


def output_quantization(model):
    """(scale, zero point, divisor): the mean of two heads ends in a Div that
    ONNX Runtime leaves in float, after the last DequantizeLinear."""
    made_by = {o: n for n in model.graph.node for o in n.output}
    values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    values |= {n.output[0]: numpy_helper.to_array(n.attribute[0].t) for n in model.graph.node if n.op_type == "Constant"}
    last, divisor = made_by["logits"], 1.0
    if last.op_type == "Div":
        divisor, last = float(values[last.input[1]]), made_by[last.input[0]]
    assert last.op_type == "DequantizeLinear", last.op_type
    return float(values[last.input[1]]), int(values[last.input[2]]), divisor


def one(name, filled_dir):
    float_name, activations = MODELS[name]
    float_skeleton = skeleton.load(OUT / f"{float_name}.onnx.gz")
    filled, _ = skeleton.fill(float_skeleton)
    shape = tuple(d.dim_value for d in filled.graph.input[0].type.tensor_type.shape.dim)
    quantized = quantize(filled, activations, shape)
    corrected = make(quantized, float_skeleton)
    skeleton.save(quantized, OUT / f"{name}.onnx.gz")

    model, crc = skeleton.fill(skeleton.load(OUT / f"{name}.onnx.gz"))
    onnx.checker.check_model(model)
    path = filled_dir / f"{name}.onnx"
    skeleton.save(model, path)
    inputs = [image(s, shape) for s in INPUT_SEEDS]
    plain, optimised = answers(path, inputs)
    exact, _ = answers(filled, inputs)
    scale, zero, divisor = output_quantization(model)
    lsb_size = scale / divisor
    lsb = np.rint(np.abs(np.subtract(plain, optimised)) / lsb_size).astype(int)
    doc = {
        "model": name,
        "float_model": float_name,
        "oracle": f"onnxruntime {ort.__version__}, CPU, 1 thread",
        "activations": "int8" if activations == QuantType.QInt8 else "uint8",
        "weights_crc32": crc,
        "input_shape": list(shape),
        "input_seeds": INPUT_SEEDS,
        "calibration_seeds": CALIBRATION_SEEDS,
        "output_scale": scale,
        "output_zero_point": zero,
        "output_divisor": divisor,
        "logits": [b64(y) for y in plain],
        "logits_optimised": [b64(y) for y in optimised],
        "difference_lsb": {"largest": int(lsb.max()), "mean": round(float(lsb.mean()), 4)},
        "float_correlation": [round(float(np.corrcoef(a, b)[0, 1]), 5) for a, b in zip(plain, exact)],
        "float_difference_lsb": round(float(np.abs(np.subtract(plain, exact)).mean() / lsb_size), 3),
        "probes": probes(model, inputs[0]),
    }
    write(OUT / f"{name}.json", doc)
    print(
        f"{name}: {corrected} weights corrected; two ORT modes differ by {doc['difference_lsb']} LSB; "
        f"correlation with float {doc['float_correlation']}, mean difference {doc['float_difference_lsb']} LSB; "
        f"skeleton {(OUT / f'{name}.onnx.gz').stat().st_size} bytes",
        flush=True,
    )


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--filled", type=Path, required=True, help="folder for the networks with weights")
    a.add_argument("models", nargs="*", default=list(MODELS))
    args = a.parse_args()
    args.filled.mkdir(parents=True, exist_ok=True)
    for name in args.models:
        one(name, args.filled)


if __name__ == "__main__":
    main()
