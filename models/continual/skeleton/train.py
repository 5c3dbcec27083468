"""Train the small continual graph network on moving stick figures, and export it to ONNX.

    python models/continual/skeleton/train.py

Blocks of a spatial-temporal graph network: each joint gathers from itself, its parent and its children
(three adjacency matrices with learned edge weights), then a convolution over nine frames, valid, beside
a skip path that is cropped evenly at both ends: a delay of four frames in a stream.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import common  # noqa: E402
import generate  # noqa: E402

WINDOW, KERNEL, WIDTHS = 48, 9, (2, 16, 32, 32)
VERTICES = len(generate.JOINTS)


class Skeleton(nn.Module):
    """Joints [N, 2, 48, 13] -> logits [N, 8]; receptive field 25 frames, then a mean over 24."""

    def __init__(self):
        super().__init__()
        self.blocks = nn.Sequential(*(Block(a, b) for a, b in zip(WIDTHS, WIDTHS[1:])))
        self.head = nn.Linear(WIDTHS[-1], len(generate.LABELS))

    def forward(self, frames):
        return self.head(self.blocks(frames).mean(3).mean(2))


class Block(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.graph = GraphConv(inputs, outputs)
        self.temporal = nn.Sequential(nn.Conv2d(outputs, outputs, (KERNEL, 1), bias=False), nn.BatchNorm2d(outputs))
        self.skip = nn.Identity() if inputs == outputs else conv_bn(inputs, outputs)

    def forward(self, x):
        crop = KERNEL // 2
        return F.relu(self.temporal(self.graph(x)) + self.skip(x[:, :, crop:-crop]))


class GraphConv(nn.Module):
    """For each adjacency matrix a product over joints and a 1 x 1 convolution; their sum, norm, ReLU."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.register_buffer("adjacency", torch.from_numpy(adjacency()), persistent=False)
        self.importance = nn.Parameter(torch.ones(self.adjacency.shape))
        self.mix = nn.ModuleList(nn.Conv2d(inputs, outputs, 1, bias=False) for _ in self.adjacency)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x):
        edges = self.adjacency * self.importance
        return F.relu(self.norm(sum(mix(x @ edge) for mix, edge in zip(self.mix, edges))))


def adjacency():
    """float32 [3, 13, 13]: from the joint itself, from its parent, from its children (averaged)."""
    a = np.zeros((3, VERTICES, VERTICES), np.float32)
    a[0] = np.eye(VERTICES)
    for child, parent in enumerate(generate.PARENTS):
        if child != parent:
            a[1, parent, child] = 1
            a[2, child, parent] = 1
    return a / np.maximum(a.sum(1, keepdims=True), 1)


def conv_bn(inputs, outputs):
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


def main():
    parser = common.arguments(__doc__, epochs=10, batch=32, lr=4e-3, weight_decay=0.01, seed=6)
    parser.add_argument("--clips", type=int, default=1280, help="clips in an epoch")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    network = Skeleton()
    log = (HERE / "train.log").open("w", buffering=1)
    common.fit_generated(network, args, generate.clips, 800, WINDOW, log)
    common.export(folded(network), HERE / "skeleton.onnx", (1, 2, WINDOW, VERTICES), log)
    prove_streaming(network, log)
    (HERE / "labels.txt").write_text("\n".join(generate.LABELS) + "\n")
    generate.main()


@torch.no_grad()
def folded(network):
    """Edge weights into the adjacency, the graph convolution's norm into its 1 x 1 convolutions."""
    network.eval()
    for block in network.blocks:
        block.graph = Folded(block.graph)
    return network


class Folded(nn.Module):
    """A graph convolution of constants only."""

    def __init__(self, graph):
        super().__init__()
        norm = graph.norm
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        self.edges = nn.ParameterList([*(graph.adjacency * graph.importance)])
        self.mix = nn.ModuleList()
        for number, old in enumerate(graph.mix):
            mix = nn.Conv2d(old.in_channels, old.out_channels, 1, bias=number == 0)
            mix.weight.copy_(old.weight * scale[:, None, None, None])
            if number == 0:
                mix.bias.copy_(norm.bias - norm.running_mean * scale)
            self.mix.append(mix)

    def forward(self, x):
        first, second, third = (mix(torch.matmul(x, edge)) for mix, edge in zip(self.mix, self.edges))
        return F.relu(first + second + third)


@torch.no_grad()
def prove_streaming(network, log):
    """The same weights in modules of `continual-inference`, frame by frame, against whole windows."""
    import continual as co

    def temporal(pair):
        plain = pair[0]
        return common.step_wise(co.Conv2d(plain.in_channels, plain.out_channels, plain.kernel_size), pair)

    def block(b):
        inner = co.Sequential(co.forward_stepping(b.graph), temporal(b.temporal))
        skip = co.Sequential(co.Delay(KERNEL // 2), co.forward_stepping(b.skip))
        return co.Sequential(co.BroadcastReduce(skip, inner, auto_delay=False), nn.ReLU())

    network.eval()
    steps = co.Sequential(*(block(b) for b in network.blocks))
    pool = co.AvgPool1d(WINDOW - 24, stride=1)

    def step(frame, _):
        y = steps.forward_step(frame)
        y = pool.forward_step(y.mean(2)) if isinstance(y, torch.Tensor) else None
        return network.head(y) if isinstance(y, torch.Tensor) else None

    frames = torch.from_numpy(generate.clips(1, 160, 77)[0])
    common.prove(step, lambda window, _: network(window), frames, WINDOW, macs_per_step(), log)


def macs_per_step():
    """One frame of every product with an adjacency matrix and every convolution, and the head."""
    total = WIDTHS[-1] * len(generate.LABELS)
    for inputs, outputs in zip(WIDTHS, WIDTHS[1:]):
        skip = inputs * outputs if inputs != outputs else 0
        total += VERTICES * (3 * VERTICES * inputs + 3 * inputs * outputs + KERNEL * outputs**2 + skip)
    return total


if __name__ == "__main__":
    main()
