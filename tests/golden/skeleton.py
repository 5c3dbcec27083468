"""ONNX files without their weights: large tensors become recipes.

    python tests/golden/skeleton.py fill <skeleton.onnx> <filled.onnx>
    python tests/golden/skeleton.py make <some.onnx> <skeleton.onnx> [--seed N]

README.md holds the format. `fill` is what a test does in Rust; `make` replaces
every float initializer of more than 64 elements by random numbers of the same
mean and deviation. qdq.py adds the recipes of quantised weights.
"""

import argparse
import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

import prng

LARGE = 64
DTYPES = {TensorProto.FLOAT: "<f4", TensorProto.INT8: "i1", TensorProto.UINT8: "u1"}


def load(path):
    raw = Path(path).read_bytes()
    return onnx.load_model_from_string(gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw)


def save(model, path):
    """gzip where the name asks for it; the same bytes every time."""
    raw = model.SerializeToString(deterministic=True)
    Path(path).write_bytes(gzip.compress(raw, 9, mtime=0) if str(path).endswith(".gz") else raw)


def recipes(skeleton):
    """{initializer name: (kind, [fields])} in the order of the initializers."""
    found = {}
    for p in skeleton.metadata_props:
        kind, _, name = p.key.partition(":")
        if kind in ("seed", "quant"):
            found[name] = (kind, p.value.split(" "))
    return {t.name: found[t.name] for t in skeleton.graph.initializer if t.name in found}


def set_recipe(skeleton, kind, name, fields):
    for p in skeleton.metadata_props:
        if p.key == f"{kind}:{name}":
            p.value = fields
            return
    skeleton.metadata_props.add(key=f"{kind}:{name}", value=fields)


def keep(skeleton, name, x):
    """Verbatim data in place of a recipe."""
    for t in skeleton.graph.initializer:
        if t.name == name:
            t.raw_data = x.astype(DTYPES[t.data_type]).tobytes()
    left = [p for p in skeleton.metadata_props if p.key.partition(":")[2] != name]
    del skeleton.metadata_props[:]
    skeleton.metadata_props.extend(left)


def number(x):
    """The shortest decimal that reads back as the same f32."""
    return repr(float(np.format_float_positional(np.float32(x), unique=True)))


def empty(tensor):
    for field in ("raw_data", "float_data", "int32_data", "int64_data"):
        tensor.ClearField(field)
    tensor.raw_data = b""


def make(model, seed):
    """Replaces the data of large float initializers by recipes, in place."""
    for i, t in enumerate(model.graph.initializer):
        if t.data_type != TensorProto.FLOAT or math.prod(t.dims) <= LARGE:
            continue
        x = numpy_helper.to_array(t).astype(np.float64)
        mean, std = x.mean(), x.std()
        if abs(mean) < 3 * std / math.sqrt(x.size):  # not different from zero
            mean = 0.0
        set_recipe(model, "seed", t.name, f"{seed + i} {number(round_to(mean, 4))} {number(round_to(std, 4))}")
        empty(t)
    return model


def round_to(x, digits):
    return float(f"{x:.{digits - 1}e}")


def data(skeleton, tensor, recipe, by_name):
    """The array that a recipe stands for."""
    kind, fields = recipe
    seed, mean, std = int(fields[0]), np.float32(fields[1]), np.float32(fields[2])
    dims = list(tensor.dims)
    x = prng.scaled(seed, math.prod(dims), mean, std)
    if kind == "seed":
        return x.reshape(dims)
    axis, scale_name, zero_name = int(fields[3]), fields[4], fields[5]
    scale = numpy_helper.to_array(by_name[scale_name])
    zero = numpy_helper.to_array(by_name[zero_name])
    return quantize(x.reshape(dims), scale, zero, axis)


def quantize(x, scale, zero, axis):
    """clamp(round_half_even(x / scale) + zero), f32 division; axis -1: one scale."""
    if axis >= 0:
        shape = [1] * x.ndim
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    info = np.iinfo(zero.dtype)
    q = np.rint(x.astype(np.float32) / scale.astype(np.float32)).astype(np.int64) + zero.astype(np.int64)
    return np.clip(q, info.min, info.max).astype(zero.dtype)


def fill(skeleton):
    """A new model with all data present. Also the CRC-32 over all filled
    tensors' little-endian bytes, in the order of the initializers."""
    model = onnx.ModelProto()
    model.CopyFrom(skeleton)
    by_name = {t.name: t for t in model.graph.initializer}
    found, crc = recipes(model), 0
    for name, recipe in found.items():
        t = by_name[name]
        t.raw_data = data(model, t, recipe, by_name).astype(DTYPES[t.data_type]).tobytes()
        crc = zlib.crc32(t.raw_data, crc)
    kept = [p for p in model.metadata_props if p.key.partition(":")[0] not in ("seed", "quant")]
    del model.metadata_props[:]
    model.metadata_props.extend(kept)
    return model, crc


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("what", choices=["make", "fill"])
    a.add_argument("source", type=Path)
    a.add_argument("target", type=Path)
    a.add_argument("--seed", type=int, default=1)
    args = a.parse_args()
    model = load(args.source)
    if args.what == "make":
        save(make(model, args.seed), args.target)
    else:
        filled, crc = fill(model)
        save(filled, args.target)
        print(f"filled tensors: CRC-32 {crc}")


if __name__ == "__main__":
    main()
