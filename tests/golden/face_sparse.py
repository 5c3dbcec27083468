"""MediaPipe's sparse face detector ("full range"): outputs of LiteRT.

    python tests/golden/face_sparse.py --model face_detection_full_range_sparse.tflite

The model comes from the PyPI package mediapipe (0.10.14, folder
modules/face_detection) or the npm package @mediapipe/face_detection. Writes
vision/face_sparse.json; the model is not for committing. README.md holds the
formats.
"""

import argparse
import base64
import json
import zlib
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

SEEDS = [3001]
OUT = Path(__file__).parent / "vision" / "face_sparse.json"


def picture(seed, shape):
    """Smooth waves of each channel between -1 and 1, with a little noise."""
    _, height, width, channels = shape
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(channels), indexing="ij")
    index = ((y * width + x) * channels + c).astype(np.uint64)
    noise = (index * np.uint64(2654435761) + np.uint64(seed)) % np.uint64(2**32)
    noise = (noise >> np.uint64(16)) % np.uint64(64)
    wave = (y * (3 + seed % 5) + x * (2 + c)) % 193
    return ((wave + noise.astype(np.int64) - 128) / 128).astype(np.float32)[None]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", required=True, type=Path)
    model = parser.parse_args().model.read_bytes()
    net = Interpreter(model_content=model)
    net.allocate_tensors()
    (entry,) = net.get_input_details()
    cases = []
    for seed in SEEDS:
        net.set_tensor(entry["index"], picture(seed, entry["shape"]))
        net.invoke()
        outputs = [net.get_tensor(out["index"]) for out in net.get_output_details()]
        names = [out["name"] for out in net.get_output_details()]
        values = [base64.b64encode(out.astype("<f4").tobytes()).decode() for out in outputs]
        cases.append({"seed": seed, "names": names, "outputs": values})
    golden = {"model_crc32": zlib.crc32(model), "input_shape": entry["shape"].tolist(), "cases": cases}
    OUT.write_text(json.dumps(golden, indent=1) + "\n")


main()
