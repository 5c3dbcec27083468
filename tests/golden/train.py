"""Training by PyTorch: gradients, and parameters after a few updates, of small networks with every kind of layer.

Writes train/<network>-<loss>.bin for runtime/tests/train/torch.rs; the README tells what is in them. Needs torch, numpy:

    python -m venv venv && venv/bin/pip install torch numpy && venv/bin/python tests/golden/train.py
"""

import pathlib

import numpy as np
import torch
from prng import uniform
from torch import nn

FOLDER = pathlib.Path(__file__).parent / "train"
BATCHES, BATCH = 5, 3
# In f64, so that what the test finds is the error of f32 on one side alone.
torch.set_default_dtype(torch.float64)


def conv(inputs, outputs, window, stride=1, padding=0, groups=1):
    return nn.Conv2d(inputs, outputs, window, stride, padding, groups=groups)


class Rows(nn.Module):
    """To rows of columns of channels, in a line: dense layers read pictures channels-last."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


# Shape of a sample as (channels, rows, columns); layers; names of what is not trained.
NETWORKS = {
    "pictures": (
        (3, 8, 8),
        lambda: [
            conv(3, 8, 3, padding=1), nn.GroupNorm(2, 8), nn.ReLU(), nn.MaxPool2d(3, 2),
            conv(8, 6, 3, stride=2, padding=1), nn.ReLU(), Rows(), nn.Linear(24, 5),
        ],
        [],
    ),
    "depthwise": (
        (4, 6, 6),
        lambda: [
            conv(4, 4, 3, padding=1, groups=4), nn.ReLU(), conv(4, 8, 1), nn.GroupNorm(4, 8), nn.ReLU(),
            nn.AvgPool2d(3, 2, padding=1, count_include_pad=False), Rows(), nn.Linear(72, 4),
        ],
        [],
    ),
    "biases": (
        (16, 1, 1),
        lambda: [Rows(), nn.Linear(16, 9), nn.ReLU(), nn.Linear(9, 3)],
        ["1.weight"],
    ),
}


def here(tensor):
    """As the training core has it: [rows][columns][channels in][channels out]."""
    if tensor.dim() == 4:
        tensor = tensor.permute(2, 3, 1, 0)
    elif tensor.dim() == 2:
        tensor = tensor.T
    return tensor.detach().numpy().astype(np.float32).ravel()


def fill(tensor, values):
    shape = {4: lambda o, i, h, w: (h, w, i, o), 2: lambda o, i: (i, o), 1: lambda n: (n,)}[tensor.dim()](*tensor.shape)
    values = torch.tensor(values.astype(np.float64)).reshape(shape)
    tensor.data = values.permute(3, 2, 0, 1) if tensor.dim() == 4 else values.T if tensor.dim() == 2 else values


def numbers(seed, count):
    """In -1 .. 1, exact in f32."""
    return (uniform(seed, count) * np.float32(2) - np.float32(1)).astype(np.float32)


def run(shape, layers, frozen, loss):
    network = nn.Sequential(*layers())
    parts = {False: [], True: []}
    for name, tensor in network.named_parameters():
        tensor.requires_grad = name not in frozen
        parts[tensor.requires_grad].append(tensor)
    for trained, seed in [(True, 1), (False, 2)]:
        sizes = [tensor.numel() for tensor in parts[trained]]
        pieces = np.split(np.float32(0.5) * numbers(seed, sum(sizes)), np.cumsum(sizes)[:-1]) if sizes else []
        for tensor, values in zip(parts[trained], pieces):
            fill(tensor, values)
    count, (channels, rows, columns) = BATCHES * BATCH, shape
    inputs = torch.tensor(numbers(3, count * channels * rows * columns).astype(np.float64))
    inputs = inputs.reshape(count, rows, columns, channels).permute(0, 3, 1, 2)
    outputs = network(inputs[:1]).shape[1]
    if loss == "classes":
        targets, judge = torch.arange(count) * 7 % outputs, nn.functional.cross_entropy
    else:
        targets = torch.tensor(numbers(4, count * outputs).astype(np.float64)).reshape(count, outputs)
        judge = nn.functional.mse_loss
    sgd = torch.optim.SGD(parts[True], lr=0.05, momentum=0.9, weight_decay=0.01)
    losses, gradients = [], None
    for first in range(0, count, BATCH):
        batch = slice(first, first + BATCH)
        losses += [judge(network(inputs[i : i + 1]), targets[i : i + 1]).item() for i in range(first, first + BATCH)]
        sgd.zero_grad()
        judge(network(inputs[batch]), targets[batch]).backward()
        if gradients is None:
            gradients = np.concatenate([here(tensor.grad) for tensor in parts[True]])
        sgd.step()
    parameters = np.concatenate([here(tensor) for tensor in parts[True]])
    return np.concatenate([np.array(losses, np.float32), gradients, parameters])


def main():
    for name, (shape, layers, frozen) in NETWORKS.items():
        for loss in ["classes", "values"]:
            path = FOLDER / f"{name}-{loss}.bin"
            path.write_bytes(run(shape, layers, frozen, loss).astype("<f4").tobytes())
            print(path.name, path.stat().st_size, "bytes")


if __name__ == "__main__":
    main()
