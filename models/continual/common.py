"""What the recipes of this folder share: arguments, training, the log, the export, the proof, counting."""

import argparse
import time

import numpy as np
import onnx
import onnxruntime
import torch
from torch.nn import functional as F


def arguments(doc, epochs, batch, lr, weight_decay, seed):
    """The parser of a recipe's command line, with its defaults."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--weight-decay", type=float, default=weight_decay)
    parser.add_argument("--seed", type=int, default=seed)
    return parser


def say(log, line):
    print(line, flush=True)
    log.write(line + "\n")


def fit(network, args, steps, batches, test, log, note, answer=None):
    """Trains `network` and logs every epoch.

    `batches(epoch)` gives `steps` pairs of inputs and classes; `answer` replaces a plain call of the network;
    `test` is what the accuracy is measured on, and has no say in the training.
    """
    answer = answer or network
    adam, schedule = optimizer(network, args.lr, args.weight_decay, steps * args.epochs)
    say(log, f"# seed {args.seed}, {args.epochs} epochs of {steps} steps, batch {args.batch}, lr {args.lr}, "
             f"weight decay {args.weight_decay}, {sum(p.numel() for p in network.parameters())} parameters, {note}")
    say(log, "# epoch  train_loss  train_acc  test_acc  seconds")
    for epoch in range(args.epochs):
        started, total, right = time.time(), 0.0, 0
        network.train()
        for inputs, targets in batches(epoch):
            logits = answer(inputs)
            loss = F.cross_entropy(logits, targets, label_smoothing=0.05)
            adam.zero_grad(set_to_none=True)
            loss.backward()
            adam.step()
            schedule.step()
            total += loss.item()
            right += (logits.argmax(1) == targets).sum().item()
        score = accuracy(network, *test)
        say(log, f"{epoch + 1:7d}  {total / steps:10.4f}  {right / steps / args.batch:9.4f}  {score:8.4f}  "
                 f"{time.time() - started:7.1f}")


def fit_generated(network, args, clips, tests, window, log):
    """Trains `network` on clips that `clips(count, window, seed)` makes anew for every epoch, and tests on others."""

    def tensors(clips, targets):
        return torch.from_numpy(clips), torch.from_numpy(targets)

    steps = args.clips // args.batch
    test = tensors(*clips(tests, window, args.seed + 1_000_000))

    def batches(epoch):
        return shuffled(*tensors(*clips(steps * args.batch, window, args.seed + 1000 * epoch)), args.batch)

    fit(network, args, steps, batches, test, log, f"new clips in every epoch, {tests} others for testing")


def shuffled(clips, targets, batch):
    """Batches of generated clips in random order."""
    order = torch.randperm(len(targets))
    for start in range(0, len(order), batch):
        pick = order[start:start + batch]
        yield clips[pick], targets[pick]


def optimizer(network, lr, weight_decay, steps):
    """AdamW with a one-cycle rate; decay on weights alone, not on scales and biases."""
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    adam = torch.optim.AdamW([{"params": weights, "weight_decay": weight_decay},
                              {"params": others, "weight_decay": 0.0}], lr=lr)
    return adam, torch.optim.lr_scheduler.OneCycleLR(adam, lr, steps, pct_start=0.2, final_div_factor=100)


@torch.no_grad()
def accuracy(network, inputs, targets):
    network.eval()
    right = 0
    for start in range(0, len(targets), 100):
        logits = network(inputs[start:start + 100])
        right += (logits.argmax(1) == targets[start:start + 100]).sum().item()
    return right / len(targets)


def export(network, path, shape, log, change=None):
    """Write the clip-wise network (batch norm folded, opset 17) and compare it with PyTorch."""
    network = network.eval()
    sample = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    torch.onnx.export(network, (sample,), str(path), dynamo=False, opset_version=17,
                      input_names=["frames"], output_names=["logits"])
    model = onnx.load(str(path))
    constants_to_initializers(model.graph)
    if change:
        change(model)
    model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    nodes = [n.op_type for n in model.graph.node]
    with torch.no_grad():
        expected = network(sample).numpy()
    error = np.abs(session(path).run(["logits"], {"frames": sample.numpy()})[0] - expected).max()
    counts = {op: nodes.count(op) for op in sorted(set(nodes))}
    say(log, f"# {path.name}: {path.stat().st_size} bytes, nodes {counts}, "
             f"{macs(model)} multiply-accumulates, ONNX Runtime within {error:.1e} of PyTorch")
    assert error < 1e-4, "ONNX Runtime and PyTorch disagree"


@torch.no_grad()
def step_wise(step, pair):
    """The convolution `step` of `continual-inference` with the weights of a plain one and its batch norm, folded."""
    plain, norm = pair
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    step.weight.copy_(plain.weight * scale.reshape(-1, *[1] * (plain.weight.ndim - 1)))
    step.bias.copy_(norm.bias - norm.running_mean * scale)
    return step


@torch.no_grad()
def prove(step, whole, frames, window, macs, log):
    """Feeds frames `[1, C, T, ..]` one by one to `step`, and compares each result with that of `whole` for the window of
    frames up to there: `step(frame, t)` gives logits, or no tensor as long as it has none; `whole(frames, start)`."""
    count = frames.shape[2]
    worst, ready = 0.0, 0
    for t in range(count):
        logits = step(frames[:, :, t], t)
        if isinstance(logits, torch.Tensor):
            start = t - window + 1
            worst = max(worst, (logits - whole(frames[:, :, start:t + 1], start)).abs().max().item())
            ready += 1
    say(log, f"# continual-inference: {ready} steps of {count} frames ready, "
             f"within {worst:.1e} of whole windows; {macs} multiply-accumulates a step")
    assert ready == count - window + 1 and worst < 1e-4


def constants_to_initializers(graph):
    for node in [n for n in graph.node if n.op_type == "Constant"]:
        tensor = node.attribute[0].t
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def macs(model):
    """Multiply-accumulates of Conv, Gemm and MatMul, from the shapes in the file."""
    shapes = {t.name: list(t.dims) for t in model.graph.initializer}
    for value in [*model.graph.input, *model.graph.value_info, *model.graph.output]:
        shapes[value.name] = [d.dim_value for d in value.type.tensor_type.shape.dim]
    total = 0
    for node in model.graph.node:
        if node.op_type == "Conv":
            total += np.prod(shapes[node.output[0]]) * np.prod(shapes[node.input[1]][1:])
        elif node.op_type in ("Gemm", "MatMul"):
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            inner = shapes[node.input[0]][-2 if transposed else -1]
            total += np.prod(shapes[node.output[0]]) * inner
    return int(total)
