"""Three published networks at their published sizes, as clip-wise ONNX skeletons with random weights.

    python tests/golden/continual/published.py     # needs torch, onnx, onnxruntime, numpy; some minutes

X3D-S, ST-GCN and the one-layer OadTR encoder, in the form that streams exactly: valid over time, frozen
norms folded, one query, recycling positions. Writes `<name>.onnx.gz` (see skeleton.py) and published.json.
"""

import base64
import io
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "models/continual")]

import prng  # noqa: E402
import skeleton  # noqa: E402
from common import constants_to_initializers, macs  # noqa: E402


class X3d(nn.Module):
    """X3D-S (Feichtenhofer, 2020): 26 bottlenecks, 160 x 160 pixels; receptive field 57 frames, mean over 4."""

    shape, axis, rows = [1, 3, 60, 160, 160], 2, 0

    def __init__(self):
        super().__init__()
        self.space = nn.Conv3d(3, 24, (1, 3, 3), (1, 2, 2), (0, 1, 1))
        self.time = nn.Conv3d(24, 24, (5, 1, 1), groups=24)
        blocks, inputs = [], 24
        for width, depth in ((24, 3), (48, 5), (96, 11), (192, 7)):
            for number in range(depth):
                blocks.append(X3dBlock(inputs, width, number == 0, number % 2 == 0))
                inputs = width
        self.blocks = nn.Sequential(*blocks)
        self.wide, self.wider, self.head = nn.Conv3d(192, 432, 1), nn.Linear(432, 2048), nn.Linear(2048, 400)

    def forward(self, x):
        x = self.blocks(F.relu(self.time(self.space(x))))
        x = F.relu(self.wide(x)).mean((3, 4)).mean(2)
        return self.head(F.relu(self.wider(x)))


class X3dBlock(nn.Module):
    def __init__(self, inputs, width, strided, gated):
        super().__init__()
        inner, stride = int(2.25 * width), 2 if strided else 1
        self.expand, self.project = nn.Conv3d(inputs, inner, 1), nn.Conv3d(inner, width, 1)
        self.depthwise = nn.Conv3d(inner, inner, 3, (1, stride, stride), (0, 1, 1), groups=inner)
        squeezed = max(8, int(inner / 16 + 4) // 8 * 8)
        self.gate = nn.Sequential(nn.Conv3d(inner, squeezed, 1), nn.ReLU(), nn.Conv3d(squeezed, inner, 1),
                                  nn.Sigmoid()) if gated else None
        self.skip = nn.Conv3d(inputs, width, 1, (1, stride, stride)) if strided else nn.Identity()

    def forward(self, x):
        y = self.depthwise(F.relu(self.expand(x)))
        if self.gate is not None:
            y = y * self.gate(y.mean((3, 4), keepdim=True))
        return F.relu(self.project(F.silu(y)) + self.skip(x[:, :, 1:-1]))


class StGcn(nn.Module):
    """ST-GCN (Yan, 2018) without temporal strides: ten blocks, 25 joints; receptive field 81 frames, mean over 4."""

    shape, axis, rows = [1, 3, 84, 25], 2, 0

    def __init__(self):
        super().__init__()
        widths = [3] + 4 * [64] + 3 * [128] + 3 * [256]
        self.blocks = nn.Sequential(*(GcnBlock(a, b, n > 0) for n, (a, b) in enumerate(zip(widths, widths[1:]))))
        self.head = nn.Linear(256, 60)

    def forward(self, x):
        return self.head(self.blocks(x).mean(3).mean(2))


class GcnBlock(nn.Module):
    def __init__(self, inputs, outputs, skipped):
        super().__init__()
        self.edges = nn.ParameterList(torch.zeros(25, 25) for _ in range(3))
        self.mix = nn.ModuleList(nn.Conv2d(inputs, outputs, 1) for _ in range(3))
        self.temporal = nn.Conv2d(outputs, outputs, (9, 1))
        same = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        self.skip = same if skipped else None

    def forward(self, x):
        first, second, third = (mix(torch.matmul(x, edge)) for mix, edge in zip(self.mix, self.edges))
        y = self.temporal(F.relu(first + second + third))
        return F.relu(y if self.skip is None else y + self.skip(x[:, :, 4:-4]))


class OadTr(nn.Module):
    """OadTR's encoder (Wang, 2021), one layer: 64 tokens from 3,072 features, width 1,024, 8 heads, 22 classes."""

    shape, axis, rows = [1, 64, 3072], 1, 127

    def __init__(self):
        super().__init__()
        self.embed, self.table = nn.Linear(3072, 1024), nn.Parameter(torch.zeros(127, 1024))
        self.query, self.key, self.value, self.out, self.first, self.second = (nn.Linear(1024, 1024) for _ in range(6))
        self.norm1, self.norm2, self.head = nn.LayerNorm(1024), nn.LayerNorm(1024), nn.Linear(1024, 22)

    def forward(self, x):
        x = self.embed(x) + self.table[torch.arange(64)]
        last = x[:, 63:]
        query, key, value = (linear(y).reshape(1, n, 8, 128).transpose(1, 2) for linear, y, n in (
            (self.query, last, 1), (self.key, x, 64), (self.value, x, 64)))
        mixed = torch.softmax(query @ key.transpose(2, 3) * 128**-0.5, -1) @ value
        y = self.norm1(last + self.out(mixed.transpose(1, 2).reshape(1, 1, 1024)))
        y = self.norm2(y + self.second(F.relu(self.first(y))))
        return self.head(y.reshape(1, 1024))


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    entries = []
    for number, (name, kind, starts) in enumerate((
            ("x3d_s", X3d, [0, 1, 2]), ("st_gcn", StGcn, [0, 1, 2]), ("oadtr_b1", OadTr, [0, 1, 63, 126, 127, 128]))):
        entries.append(golden(name, kind(), 3000 + 100 * number, starts))
        print({k: v for k, v in entries[-1].items() if k != "outputs"}, flush=True)
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (HERE / "published.json").write_text(f"[\n{lines}\n]\n")


def golden(name, network, seed, starts):
    model = exported(network, seed, network.shape)
    work, step = macs(model), step_macs(network, model, seed)
    skeleton.save(skeleton.make(model, seed), HERE / f"{name}.onnx.gz")
    filled, crc = skeleton.fill(skeleton.load(HERE / f"{name}.onnx.gz"))
    length, frame = network.shape[network.axis], [d for a, d in enumerate(network.shape) if a != network.axis]
    frames = starts[-1] + length
    values = prng.normal(seed + 99, frames * int(np.prod(frame))).reshape(frames, *frame)
    outputs = []
    for start in starts:
        if network.rows:
            rows, = [t for t in filled.graph.initializer if t.name == "position_rows"]
            rows.CopyFrom(numpy_helper.from_array((np.arange(length) + start) % network.rows, "position_rows"))
        if network.rows or not outputs:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(filled.SerializeToString(), options,
                                                   providers=["CPUExecutionProvider"])
        window = np.ascontiguousarray(np.moveaxis(values[start:start + length], 0, network.axis))
        outputs.append(session.run(None, {"frames": window})[0][0])
    outputs = np.stack(outputs)
    return {
        "name": name, "file": f"{name}.onnx.gz", "weights_crc32": crc, "input": network.shape,
        "time_axis": network.axis, "frames": frames, "seed": seed + 99, "starts": starts,
        **({"positions": network.rows} if network.rows else {}), "window_macs": work, "step_macs": step, "output": list(outputs.shape[1:]),
        "deviation": float(outputs.std()), "change": float(np.abs(outputs[1] - outputs[0]).max()),
        "outputs": base64.b64encode(outputs.astype("<f4").tobytes()).decode(),
    }


def step_macs(network, model, seed):
    """What one more frame costs: a window longer by one, and everything that comes after time was averaged."""
    if network.rows:
        # One token through every matrix, and the products with 64 keys and values.
        return sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Linear)) + 2 * 64 * 1024
    longer = [d + (a == network.axis) for a, d in enumerate(network.shape)]
    after = sum(m.weight.numel() for m in network.modules() if isinstance(m, nn.Linear))
    return macs(exported(network, seed, longer)) - macs(model) + after


def exported(network, seed, shape):
    for number, (name, p) in enumerate(network.named_parameters()):
        values = torch.from_numpy(prng.normal(seed * 1000 + number, p.numel())).reshape(p.shape)
        inputs = p.shape[0] if "edges" in name else p[0].numel() if p.ndim > 1 else 100
        # ReLU halves the power; branches beside a skip path add little.
        gain = 0.4 if any(part in name for part in ("project", "temporal")) else 1.0 if "table" in name else 1.4
        spread = values * gain * (1 if "table" in name else inputs**-0.5)
        p.data.copy_(1 + 0.1 * values if "norm" in name and "weight" in name else spread)
    file = io.BytesIO()
    torch.onnx.export(network.eval(), (torch.zeros(shape),), file, dynamo=False, opset_version=17,
                      input_names=["frames"], output_names=["logits"])
    model = onnx.load_model_from_string(file.getvalue())
    constants_to_initializers(model.graph)
    if network.rows:
        table = network.table.detach().numpy()
        folded, = [t for t in model.graph.initializer if np.array_equal(numpy_helper.to_array(t), table[:64])]
        model.graph.initializer.remove(folded)
        model.graph.initializer.append(numpy_helper.from_array(table, "positions"))
        model.graph.initializer.append(numpy_helper.from_array(np.arange(64), "position_rows"))
        model.graph.node.insert(0, helper.make_node("Gather", ["positions", "position_rows"], [folded.name],
                                                    "recycling_positions", axis=0))
    return onnx.shape_inference.infer_shapes(model)


if __name__ == "__main__":
    main()
