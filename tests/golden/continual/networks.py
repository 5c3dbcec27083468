"""Logits of the trained networks of models/continual for random streams, one result per window.

    python tests/golden/continual/networks.py     # needs onnx, onnxruntime, numpy; writes networks.json
"""

import base64
import json
import sys
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
sys.path.insert(0, str(HERE.parent))

import prng  # noqa: E402

# Network: (file, time axis, frames, mean and deviation of the input, rows of a recycling table)
NETWORKS = {
    "digits_conv": ("models/continual/digits_conv/digits_conv.onnx", 2, 100, 0.4, 0.2, 0),
    # More than two turns of the table of 119 rows.
    "digits_transformer": ("models/continual/digits_transformer/digits_transformer.onnx", 2, 310, 0.4, 0.2, 119),
    "motion": ("models/continual/motion/motion.onnx", 2, 40, 0.5, 0.25, 0),
    "skeleton": ("models/continual/skeleton/skeleton.onnx", 2, 80, 0.0, 0.6, 0),
}


def main():
    entries = []
    for number, (name, (file, axis, frames, mean, std, rows)) in enumerate(NETWORKS.items()):
        raw = (ROOT / file).read_bytes()
        model = onnx.load_model_from_string(raw)
        shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
        frame = [d for a, d in enumerate(shape) if a != axis]
        seed = 2000 + number
        values = prng.scaled(seed, frames * int(np.prod(frame)), mean, std)
        stream = np.moveaxis(values.reshape(frames, *frame), 0, axis)
        answer = Answer(model, rows)
        starts = range(frames - shape[axis] + 1)
        outputs = np.concatenate([answer(np.ascontiguousarray(stream.take(range(s, s + shape[axis]), axis)), s)
                                  for s in starts])
        entries.append({
            "name": name, "file": file, "file_crc32": zlib.crc32(raw), "input": shape, "time_axis": axis,
            "frames": frames, "seed": seed, "mean": mean, "std": std, "first_ready": shape[axis] - 1,
            "count": len(outputs), "output": list(outputs.shape[1:]), **({"positions": rows} if rows else {}),
            "outputs": base64.b64encode(outputs.astype("<f4").tobytes()).decode(),
        })
        print(name, outputs.shape, "logits from", outputs.min(), "to", outputs.max())
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (HERE / "networks.json").write_text(f"[\n{lines}\n]\n")


class Answer:
    """The network for the window that starts at frame `start`; with a recycling table, at row start mod rows."""

    def __init__(self, model, rows):
        self.model, self.rows, self.sessions = model, rows, {}

    def __call__(self, window, start):
        row = start % self.rows if self.rows else 0
        if row not in self.sessions:
            if self.rows:
                indices, = [t for t in self.model.graph.initializer if t.name == "position_rows"]
                count = indices.dims[0]
                indices.CopyFrom(numpy_helper.from_array((np.arange(count) + row) % self.rows, "position_rows"))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            self.sessions[row] = onnxruntime.InferenceSession(self.model.SerializeToString(), options,
                                                              providers=["CPUExecutionProvider"])
        return self.sessions[row].run(None, {"frames": window})[0]


if __name__ == "__main__":
    main()
