"""Small networks for the streaming transform: seeded weights, a stream of frames, and what must come out.

    python tests/golden/continual/vectors.py     # needs torch, onnx, onnxruntime, numpy

Writes `<name>.onnx`, `vectors.json` (networks that stream exactly) and `refusals.json` (networks that do
not, each with the rule that it breaks). README.md of the folder above holds the format.
"""

import base64
import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import helper, numpy_helper

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import prng  # noqa: E402
from cases import refusals, vectors  # noqa: E402
from networks_small import Padded  # noqa: E402


def main():
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    for old in HERE.glob("*.onnx"):
        old.unlink()
    index = [vector(number, case) for number, case in enumerate(vectors())]
    write("vectors.json", index)
    write("refusals.json", [refusal(number, case) for number, case in enumerate(refusals())])
    size = sum(f.stat().st_size for f in HERE.iterdir() if f.is_file())
    print(f"{len(index)} vectors, {len(list(refusals()))} refusals, {size} bytes in all")


def vector(number, case):
    module = seeded(case.module, 100 + number)
    frames = stream(case, 1000 + number)
    export(case, module)
    results = expected(case, module, frames)
    error = cross_check(case, frames, results)
    first, every = timing(case, len(results))
    return {
        "name": case.name, "file": f"{case.name}.onnx", "compare": case.compare,
        "input": case.shape, "time_axis": case.axis,
        **({"hop": case.hop} if case.compare == "windows" else {"output_time_axis": case.output_axis}),
        "frames": case.frames, "seed": 1000 + number, "gain": case.gain,
        "first_ready": first, "every": every, "count": len(results), "output": list(results[0].shape),
        "outputs": base64.b64encode(np.stack(results).astype("<f4").tobytes()).decode(),
        **({"positions": case.positions} if case.positions else {}), "float32_error": float(f"{error:.1e}"), "note": case.note,
    }


def refusal(number, case):
    export(case, seeded(case.module, 500 + number))
    if case.change:
        path = str(HERE / f"{case.name}.onnx")
        model = onnx.load(path)
        case.change(model)
        onnx.checker.check_model(model)
        onnx.save(model, path)
    session(case.name)  # ONNX Runtime takes it: what is refused is the streaming, not the file
    nodes = [n.op_type for n in onnx.load(str(HERE / f"{case.name}.onnx")).graph.node]
    assert case.operator in nodes, (case.name, nodes)
    return {"name": case.name, "file": f"{case.name}.onnx", "input": case.shape, "time_axis": case.axis,
            "hop": case.hop, "rule": case.rule, "operator": case.operator, "why": case.note}


def seeded(module, seed):
    """Weights within +-sqrt(3 / inputs), biases and norms from the project's random numbers."""
    for number, (name, p) in enumerate([*module.named_parameters(), *module.named_buffers()]):
        if not p.is_floating_point():
            continue
        values = torch.from_numpy(prng.normal(seed * 1000 + number, p.numel())).reshape(p.shape)
        inputs = p[0].numel() if p.ndim > 1 else 16
        spread = values * inputs**-0.5
        positive = "running_var" in name or ("norm" in name and name.endswith("weight"))
        p.data.copy_(1 + 0.5 * spread if positive else spread)
    return module.eval()


def stream(case, seed):
    """The whole stream as one input: element i of frame t is gain * normal(seed, t * len + i)."""
    frame = [d for a, d in enumerate(case.shape) if a != case.axis]
    values = np.float32(case.gain) * prng.normal(seed, case.frames * int(np.prod(frame)))
    return np.moveaxis(values.reshape(case.frames, *frame), 0, case.axis)


@torch.no_grad()
def expected(case, module, frames):
    """float64 results: one per window, or the slices of one pass over the whole stream."""
    module, x = module.double(), torch.from_numpy(frames.astype(np.float64))
    length = case.shape[case.axis]
    if case.compare == "windows":
        results = []
        for start in range(0, case.frames - length + 1, case.hop):
            window = x.narrow(case.axis, start, length)
            results.append((module(window, start) if case.positions else module(window)).numpy())
    else:
        whole = module(x).numpy()
        count = whole.shape[case.output_axis] - case.end_padding
        results = [whole.take([i], case.output_axis) for i in range(count)]
    module.float()
    return results


def cross_check(case, frames, results):
    """ONNX Runtime on the file itself: its first window. Returns the largest difference, relative to the range."""
    window = np.ascontiguousarray(frames.take(range(case.shape[case.axis]), case.axis))
    got = session(case.name).run(None, {"frames": window})[0]
    want = results[0]
    if case.compare == "whole":
        count = got.shape[case.output_axis] - case.end_padding
        got, want = got.take(range(count), case.output_axis), np.concatenate(results[:count], case.output_axis)
    error = float(np.abs(got - want).max() / max(1, np.abs(want).max()))
    assert got.shape == want.shape and error < 1e-5, (case.name, got.shape, want.shape, error)
    return error


def timing(case, count):
    """Frame at which the first result is ready (counted from 0), and frames from one to the next."""
    if case.compare == "windows":
        return case.shape[case.axis] - 1, case.hop
    first, every = case.first, case.every
    assert first + (count - 1) * every < case.frames <= first + count * every, (case.name, count, first, every)
    return first, every


def export(case, module):
    path = str(HERE / f"{case.name}.onnx")
    torch.onnx.export(module, (torch.zeros(case.shape),), path, dynamo=False, opset_version=17,
                      input_names=["frames"], output_names=["result"])
    model = onnx.load(path)
    for node in [n for n in model.graph.node if n.op_type == "Constant"]:
        node.attribute[0].t.name = node.output[0]
        model.graph.initializer.append(node.attribute[0].t)
        model.graph.node.remove(node)
    pads = [(m.start, m.end) for m in module.modules() if isinstance(m, Padded) and m.start + m.end]
    plain_padding(model.graph, pads, case.pad_nodes)
    if case.positions:
        whole_table(model, module.table.detach().numpy(), case.positions)
    onnx.save(onnx.shape_inference.infer_shapes(model), path)


def plain_padding(graph, pads, keep):
    """The exporter computes the amounts of padding in the graph: put them into the convolution, or into one Pad."""
    nodes = [n for n in graph.node if n.op_type == "Pad"]
    assert len(nodes) == len(pads)
    for node, (start, end) in zip(nodes, pads):
        if keep:
            graph.initializer.append(helper.make_tensor(f"{node.name}/pads", onnx.TensorProto.INT64, [6],
                                                        [0, 0, start, 0, 0, end]))
            node.input[:] = [node.input[0], f"{node.name}/pads"]
            continue
        conv, = [n for n in graph.node if node.output[0] in n.input]
        attribute, = [a for a in conv.attribute if a.name == "pads"]
        attribute.ints[:] = [start, end]
        conv.input[0] = node.input[0]
        graph.node.remove(node)
    while True:
        used = {i for n in graph.node for i in n.input} | {o.name for o in graph.output}
        unused = [n for n in graph.node if not used & set(n.output)]
        if not unused:
            break
        for node in unused:
            graph.node.remove(node)
    for tensor in [t for t in graph.initializer if t.name not in used]:
        graph.initializer.remove(tensor)


def whole_table(model, table, rows):
    """The exporter folds the gathering of rows; a stream needs the whole table."""
    tokens = (rows + 1) // 2
    folded, = [t for t in model.graph.initializer if np.array_equal(numpy_helper.to_array(t), table[:tokens])]
    model.graph.initializer.remove(folded)
    model.graph.initializer.append(numpy_helper.from_array(table, "positions"))
    model.graph.initializer.append(numpy_helper.from_array(np.arange(tokens), "position_rows"))
    model.graph.node.insert(0, helper.make_node(
        "Gather", ["positions", "position_rows"], [folded.name], "recycling_positions", axis=0))


def session(name):
    return onnxruntime.InferenceSession(str(HERE / f"{name}.onnx"), providers=["CPUExecutionProvider"])


def write(name, entries):
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (HERE / name).write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
