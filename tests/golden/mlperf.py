"""Golden values of the MLPerf Tiny networks, from LiteRT's reference kernels.

    python tests/golden/mlperf.py --data ../shared/data

Writes mlperf/<model>.json, mlperf/<model>_f32.json and mlperf/vww_photos.bin.
README.md describes every field.
"""

import argparse
import base64
import json
import zlib
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

import prng

HERE = Path(__file__).resolve().parent
OUT = HERE / "mlperf"
INT8 = {"kws": 1001, "ic_resnet8": 1002, "vww": 1003, "ad": 1004, "sww": 1005}
RANDOM_SAMPLES = 200
# Seed and input range [lo, hi): about what the int8 network's input can hold.
F32 = {
    "kws": (1101, -120.0, 25.0),
    "ic_resnet8": (1102, 0.0, 255.0),
    "vww": (1103, 0.0, 1.0),
    "ad": (1104, -80.0, 15.0),
}
F32_SAMPLES = 5
VWW_PHOTOS = ["astronaut", "chelsea", "coffee"]


def interpreter(path):
    it = Interpreter(
        str(path),
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    it.allocate_tensors()
    return it


def op_outputs(it):
    """Every tensor that an operator writes, in operator order."""
    rows = []
    for op in it._get_ops_details():
        for t in op["outputs"]:
            d = it._get_tensor_details(int(t), 0)
            row = {
                "tensor": int(t),
                "name": d["name"],
                "shape": [int(n) for n in d["shape"]],
                "dtype": np.dtype(d["dtype"]).name,
                "op": int(op["index"]),
                "op_name": op["op_name"],
            }
            if d["quantization_parameters"]["scales"].size == 1:
                row["scale"] = float(d["quantization_parameters"]["scales"][0])
                row["zero_point"] = int(d["quantization_parameters"]["zero_points"][0])
            rows.append(row)
    return rows


def b64(array, dtype):
    return base64.b64encode(np.ascontiguousarray(array).astype(dtype).tobytes()).decode()


def quantization(detail):
    scale, zero_point = detail["quantization"]
    return float(scale), int(zero_point)


def quantize(x, scale, zero_point):
    """f32 division, ties to even, clamp."""
    q = np.rint(x.astype(np.float32) / np.float32(scale)) + np.float32(zero_point)
    return np.clip(q, -128, 127).astype(np.int8)


def real_inputs(model, data, scale, zero_point):
    """[(name, description, samples)] of recorded inputs."""
    if model == "ad":
        frames = np.fromfile(data / "mlperf-tiny/ad_normal_id_01.bin", "<f4").reshape(200, 128)
        windows = np.stack([frames[i : i + 5].ravel() for i in range(196)])
        return [(
            "ad_normal_id_01",
            "ad_normal_id_01.bin as 200 frames of 128: sample i is frames i .. i+4, quantized",
            quantize(windows, scale, zero_point),
        )]
    if model == "sww":
        frames = np.load(data / "golden/sww_int8_stream.npz")["frames"]
        windows = np.stack([frames[i : i + 30] for i in range(282)])
        return [(
            "sww_stream",
            "sww_int8_stream.npz `frames`: sample i is frames i .. i+29",
            windows,
        )]
    if model == "vww":
        return [("photos", "vww_photos.bin: u8 pixels [3, 96, 96, 3], int8 = pixel - 128", vww_photos())]
    return []


def vww_photos():
    """Three public-domain photographs, centre square, 96 x 96."""
    from PIL import Image
    from skimage import data as photos

    pixels = []
    for name in VWW_PHOTOS:
        im = Image.fromarray(getattr(photos, name)())
        side = min(im.size)
        left, top = (im.width - side) // 2, (im.height - side) // 2
        im = im.crop((left, top, left + side, top + side)).resize((96, 96), Image.BILINEAR)
        pixels.append(np.asarray(im, np.uint8))
    pixels = np.stack(pixels)
    (OUT / "vww_photos.bin").write_bytes(pixels.tobytes())
    return (pixels.astype(np.int16) - 128).astype(np.int8)


def run_set(it, tensors, samples, name, description):
    inp = it.get_input_details()[0]
    out = it.get_output_details()[0]["index"]
    crcs, input_crcs, first = [], [], []
    for i, x in enumerate(samples):
        x = np.ascontiguousarray(x).reshape(inp["shape"])
        it.set_tensor(inp["index"], x)
        it.invoke()
        input_crcs.append(zlib.crc32(x.tobytes()))
        crcs.append([zlib.crc32(it.get_tensor(t["tensor"]).tobytes()) for t in tensors])
        if i < 3:
            first.append(b64(it.get_tensor(out), np.int8))
    return {
        "name": name,
        "input": description,
        "count": len(samples),
        "input_crc32": b64(np.array(input_crcs), "<u4"),
        "crc32": b64(np.array(crcs), "<u4"),
        "first_outputs": first,
    }


def header(path, it):
    return {
        "model": path.name,
        "model_crc32": zlib.crc32(path.read_bytes()),
        "oracle": "LiteRT BUILTIN_REF, every tensor preserved, 1 thread",
        "input_shape": [int(n) for n in it.get_input_details()[0]["shape"]],
    }


def golden_int8(model, data):
    path = data / f"mlperf-tiny/{model}_int8.tflite"
    it = interpreter(path)
    inp, out = it.get_input_details()[0], it.get_output_details()[0]
    scale, zero_point = quantization(inp)
    tensors = op_outputs(it)
    doc = header(path, it)
    doc |= {
        "input_scale": scale,
        "input_zero_point": zero_point,
        "output_tensor": int(out["index"]),
        "output_scale": quantization(out)[0],
        "output_zero_point": quantization(out)[1],
        "tensors": tensors,
    }
    n = int(np.prod(inp["shape"]))
    random = prng.int8(INT8[model], RANDOM_SAMPLES * n).reshape(RANDOM_SAMPLES, n)
    one = run_set(it, tensors, random, "random", "prng int8, element i of sample s has index s * len + i")
    one["seed"] = INT8[model]
    doc["sets"] = [one]
    for name, text, samples in real_inputs(model, data, scale, zero_point):
        doc["sets"].append(run_set(it, tensors, samples, name, text))
    write(OUT / f"{model}.json", doc)


def golden_f32(model, data):
    path = data / f"mlperf-tiny/{model}_f32.tflite"
    it = interpreter(path)
    inp, out = it.get_input_details()[0], it.get_output_details()[0]
    seed, lo, hi = F32[model]
    n = int(np.prod(inp["shape"]))
    u = prng.uniform(seed, F32_SAMPLES * n).reshape(F32_SAMPLES, n)
    x = np.float32(lo) + np.float32(hi - lo) * u
    last = op_outputs(it)[-1]
    # Softmax hides errors once it saturates, so its input is kept too.
    before = None
    if last["op_name"] == "SOFTMAX":
        before = int(it._get_ops_details()[last["op"]]["inputs"][0])
    outputs, logits = [], []
    for s in x:
        it.set_tensor(inp["index"], s.reshape(inp["shape"]))
        it.invoke()
        outputs.append(b64(it.get_tensor(out["index"]), "<f4"))
        if before is not None:
            logits.append(b64(it.get_tensor(before), "<f4"))
    doc = header(path, it)
    doc |= {"seed": seed, "lo": lo, "hi": hi, "count": F32_SAMPLES, "outputs": outputs}
    if before is not None:
        doc |= {"logits_tensor": before, "logits": logits}
    write(OUT / f"{model}_f32.json", doc)


def write(path, doc):
    lines = ",\n".join(f" {json.dumps(k)}: {compact(v)}" for k, v in doc.items())
    path.write_text("{\n" + lines + "\n}\n")


def compact(v):
    if isinstance(v, list) and v and isinstance(v[0], dict):
        return "[\n" + ",\n".join("  " + json.dumps(e) for e in v) + "]"
    return json.dumps(v)


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--data", type=Path, required=True, help="the shared data folder")
    data = a.parse_args().data
    OUT.mkdir(exist_ok=True)
    for model in INT8:
        golden_int8(model, data)
    for model in F32:
        golden_f32(model, data)


if __name__ == "__main__":
    main()
