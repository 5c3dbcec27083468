"""Float vision networks with random weights, and ONNX Runtime's answers.

    python tests/golden/vision.py --filled <folder> [model ...]

Writes vision/<model>.onnx.gz (skeleton) and vision/<model>.json; the networks
with all their weights go to <folder>. README.md holds the formats.
"""

import argparse
import base64
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import timm
import torch
from onnx import TensorProto, numpy_helper

import prng
import skeleton

HERE = Path(__file__).resolve().parent
OUT = HERE / "vision"
# Our name: (timm name, first weight seed, keep batch norm).
MODELS = {
    "efficientformer_l1": ("efficientformer_l1", 10000, False),
    "efficientformerv2_s0": ("efficientformerv2_s0", 20000, False),
    "tinynet_a": ("tinynet_a", 30000, False),
    "tinynet_e": ("tinynet_e", 40000, False),
    "mobilenetv1_100": ("mobilenetv1_100", 50000, False),
    "mobilenetv2_100": ("mobilenetv2_100", 60000, False),
    "mobilenetv3_small_100": ("mobilenetv3_small_100", 70000, False),
    "efficientnet_lite0": ("efficientnet_lite0", 80000, False),
    # Padding from Shape/Gather/Concat chains into Pad.
    "tf_efficientnet_lite0": ("tf_efficientnet_lite0", 90000, False),
    # Batch norm left as it is.
    "mobilenetv2_100_bn": ("mobilenetv2_100", 100000, True),
}
INPUT_SEEDS = [9001, 9002]
BALANCE_SEEDS = [9001, 9002, 9101, 9102, 9103, 9104]
# Deviation of the output of each convolution and linear layer. Swish amplifies
# large values more than small ones; around 3 it hardly does, so that pictures of
# a little less contrast don't fade out layer by layer. Squeeze-excite gates do
# the same and are kept near one half. A convolution before an Add is smaller.
TARGET, SWISH_TARGET, GATE_TARGET, RESIDUAL = 1.0, 3.0, 0.25, 0.3
# Share of each channel's mean that the bias takes away. With none, deep networks
# answer the same to every picture; with all, each ReLU multiplies the relative
# error (variance) by 1.5, and nothing that is not bit-exact can be compared.
CENTRED = 0.1


def image(seed, shape):
    """A random picture with structure at three sizes: half a normal
    number per channel, one per 32 x 32 block, a quarter of one per pixel."""
    _, c, h, w = shape
    bh, bw = -(-h // 32), -(-w // 32)
    colour = prng.normal(seed, c).reshape(c, 1, 1)
    blocks = prng.normal(seed + (1 << 32), c * bh * bw).reshape(c, bh, bw)
    blocks = blocks.repeat(32, 1).repeat(32, 2)[:, :h, :w]
    pixels = prng.normal(seed + (2 << 32), c * h * w).reshape(c, h, w)
    return (np.float32(0.5) * colour + blocks + np.float32(0.25) * pixels).reshape(shape)


def torch_model(timm_name):
    torch.manual_seed(0)
    net = timm.create_model(timm_name, pretrained=False).eval()
    g = torch.Generator().manual_seed(1)
    normal = lambda t, mean, std: t.copy_(mean + std * torch.randn(t.shape, generator=g))
    # Fresh networks have zero biases, unit norms, tiny layer scales: values
    # behind which a wrong conversion could hide.
    with torch.no_grad():
        for name, t in list(net.named_parameters()) + list(net.named_buffers()):
            last = name.split(".")[-1]
            if last == "bias":
                normal(t, 0, 0.1)
            elif last == "running_mean":
                normal(t, 0, 0.1)
            elif last == "running_var" or (last == "weight" and t.dim() == 1):
                normal(t, 1, 0.1)
            elif last in ("gamma", "layer_scale"):
                normal(t, 0.3, 0.1)
            elif last == "attention_biases":
                normal(t, 0, 0.5)
    return net


def export(net, shape, path, keep_batch_norm):
    training = torch.onnx.TrainingMode.PRESERVE if keep_batch_norm else torch.onnx.TrainingMode.EVAL
    torch.onnx.export(
        net, torch.zeros(shape), str(path), dynamo=False, opset_version=17, training=training,
        do_constant_folding=not keep_batch_norm, input_names=["input"], output_names=["logits"],
    )


def session(model, mode):
    o = ort.SessionOptions()
    o.graph_optimization_level = mode
    o.intra_op_num_threads = 1
    o.log_severity_level = 3
    raw = model if isinstance(model, (str, Path)) else model.SerializeToString()
    return ort.InferenceSession(raw, o, providers=["CPUExecutionProvider"])


DISABLE = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
ENABLE = ort.GraphOptimizationLevel.ORT_ENABLE_ALL


def with_outputs(model, names):
    m = onnx.ModelProto()
    m.CopyFrom(model)
    del m.graph.output[:]
    m.graph.output.extend(onnx.helper.make_empty_tensor_value_info(n) for n in names)
    return m


def balance(skel, shape):
    """Sets each weight's deviation so that its layer's output has TARGET, and
    the biases so that the channels' means shrink. These biases become verbatim.
    The weights are inputs here, so one session serves all steps."""
    filled, _ = skeleton.fill(skel)
    found = skeleton.recipes(skel)
    layers = [
        (n, next(i for i in n.input if i in found))
        for n in filled.graph.node
        if n.op_type in ("Conv", "Gemm", "MatMul") and any(i in found for i in n.input[:2])
    ]
    m = with_outputs(filled, [n.output[0] for n, _ in layers])
    fed = {i for n, _ in layers for i in n.input[1:]}
    feeds = {}
    for t in [t for t in m.graph.initializer if t.name in fed]:
        feeds[t.name] = numpy_helper.to_array(t)
        m.graph.input.append(onnx.helper.make_tensor_value_info(t.name, t.data_type, t.dims))
        m.graph.initializer.remove(t)
    added = {i for n in m.graph.node if n.op_type == "Add" for i in n.input}
    swish = sum(n.op_type in ("Sigmoid", "HardSwish") for n in m.graph.node) > len(layers) / 4
    run = session(m, DISABLE)
    inputs = [image(s, shape) for s in BALANCE_SEEDS]
    for node, w in layers:
        y = np.concatenate([run.run([node.output[0]], feeds | {"input": x})[0] for x in inputs])
        y = y.reshape(*y.shape[:2], -1) if node.op_type != "MatMul" else y
        # The few numbers of a squeeze-excite layer say too little about its mean.
        centre = len(node.input) == 3 and (node.op_type == "Gemm" or y.shape[2] > 1)
        mean = y.mean(axis=(0, 2), dtype=np.float64) if centre else 0.0
        part = 1.0 if node.op_type == "Gemm" else CENTRED
        y = y - part * mean[:, None] if centre else y
        spread = np.median([one.std() for one in y])
        seed, _, std = found[w][1]
        target = SWISH_TARGET if swish else TARGET
        if node.op_type == "Conv" and y.shape[2] == 1:
            target = GATE_TARGET
        elif node.op_type == "Conv" and node.output[0] in added:
            target *= RESIDUAL
        new = skeleton.round_to(float(std) * target / float(spread), 4)
        skeleton.set_recipe(skel, "seed", w, f"{seed} 0.0 {skeleton.number(new)}")
        feeds[w] = prng.scaled(int(seed), feeds[w].size, 0.0, np.float32(new)).reshape(feeds[w].shape)
        if centre:
            b = node.input[2]
            feeds[b] = short(feeds[b] - part * (mean - feeds[b]) * (new / float(std)))
            skeleton.keep(skel, b, feeds[b])


def short(x):
    """f32 with 8 bits of mantissa: half of the bytes are zero and compress."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return (bits & np.uint32(0xFFFF0000)).view(np.float32)


def probes(model, x):
    """[tensor, mean, std, largest magnitude] of every float tensor, in order."""
    typed = onnx.shape_inference.infer_shapes(model)
    floats = {v.name for v in typed.graph.value_info if v.type.tensor_type.elem_type == TensorProto.FLOAT}
    names = [o for n in model.graph.node for o in n.output if o in floats and n.op_type not in ("Constant", "Identity")]
    found = session(with_outputs(model, names), DISABLE).run(names, {"input": x})
    g = lambda v: float(f"{v:.5g}")
    return [[n, g(y.mean()), g(y.std()), g(np.abs(y).max())] for n, y in zip(names, found)]


def b64(x):
    return base64.b64encode(np.ascontiguousarray(x, "<f4").tobytes()).decode()


def write(path, doc):
    lines = []
    for k, v in doc.items():
        nested = isinstance(v, list) and v and isinstance(v[0], (list, dict))
        text = "[\n" + ",\n".join("  " + json.dumps(e) for e in v) + "]" if nested else json.dumps(v)
        lines.append(f" {json.dumps(k)}: {text}")
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def answers(model, inputs):
    """Logits per input with and without ORT's optimisations."""
    plain, optimised = session(model, DISABLE), session(model, ENABLE)
    run = lambda s: [s.run(["logits"], {"input": x})[0].ravel() for x in inputs]
    return run(plain), run(optimised)


def report(name, doc, plain):
    print(
        f"{name}: logits std {np.std(plain):.3f}, range {np.ptp(plain):.2f}, "
        f"correlation of the two inputs {np.corrcoef(plain)[0, 1]:.3f}, "
        f"ORT difference {doc['max_difference']:.2e}",
        flush=True,
    )


def one(name, filled_dir):
    timm_name, seed, keep_batch_norm = MODELS[name]
    net = torch_model(timm_name)
    shape = (1, *net.default_cfg["input_size"])
    path = filled_dir / f"{name}.onnx"
    export(net, shape, path, keep_batch_norm)
    skel = onnx.load(path)
    skeleton.make(skel, seed)
    balance(skel, shape)
    skeleton.save(skel, OUT / f"{name}.onnx.gz")

    filled, crc = skeleton.fill(skeleton.load(OUT / f"{name}.onnx.gz"))
    onnx.checker.check_model(filled)
    skeleton.save(filled, path)
    inputs = [image(s, shape) for s in INPUT_SEEDS]
    plain, optimised = answers(path, inputs)
    doc = {
        "model": name,
        "timm": timm_name,
        "oracle": f"onnxruntime {ort.__version__}, CPU, 1 thread",
        "exporter": f"torch {torch.__version__.split('+')[0]}, opset 17",
        "weights_crc32": crc,
        "input_shape": list(shape),
        "input_seeds": INPUT_SEEDS,
        "input_sums": [float(np.sum(x, dtype=np.float64)) for x in inputs],
        "logits": [b64(y) for y in plain],
        "logits_optimised": [b64(y) for y in optimised],
        "max_difference": float(np.abs(np.subtract(plain, optimised)).max()),
        "probes": probes(filled, inputs[0]),
    }
    write(OUT / f"{name}.json", doc)
    report(name, doc, plain)


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--filled", type=Path, required=True, help="folder for the networks with weights")
    a.add_argument("models", nargs="*", default=list(MODELS))
    args = a.parse_args()
    OUT.mkdir(exist_ok=True)
    args.filled.mkdir(parents=True, exist_ok=True)
    for name in args.models:
        one(name, args.filled)


if __name__ == "__main__":
    main()
