"""Train the convolutional spoken-digit network, and export it to ONNX.

    python models/continual/digits_conv/train.py --data ../shared/data/fsdd/fsdd-wav.tar.xz

Every convolution over time is valid: no padding anywhere. A residual block drops the frames that its
convolution consumed from the start of the skip path, and the head averages over the frames that are
left. So each window's result is a function of its frames alone, whatever stands before them, and a
stream of new frames can be answered with the work of one frame, exactly.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import common  # noqa: E402
import fsdd  # noqa: E402

CHANNELS, KERNEL, BLOCKS = 64, 5, 4
# Stem, depthwise and pointwise convolutions, head: one column each.
MACS_PER_STEP = (3 * fsdd.DIGITS.mels * CHANNELS + BLOCKS * (KERNEL * CHANNELS + CHANNELS**2)
                 + CHANNELS * len(fsdd.LABELS))


class DigitsConv(nn.Module):
    """Frames [N, 32, T] -> logits [N, 11]; receptive field 19 frames, then a mean over T - 18."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(fsdd.DIGITS.mels, CHANNELS, 3)
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.drop = nn.Dropout(0.1)
        self.head = nn.Linear(CHANNELS, len(fsdd.LABELS))

    def forward(self, frames):
        x = self.blocks(F.relu(self.stem(frames)))
        return self.head(self.drop(x.mean(2)))


class Block(nn.Module):
    """Depthwise over time, pointwise over channels, and a skip path without its oldest frames."""

    def __init__(self):
        super().__init__()
        self.depthwise = conv_bn(CHANNELS, CHANNELS, KERNEL, groups=CHANNELS)
        self.pointwise = conv_bn(CHANNELS, CHANNELS, 1)

    def forward(self, x):
        return F.relu(self.pointwise(F.relu(self.depthwise(x))) + x[:, :, KERNEL - 1:])


def conv_bn(inputs, outputs, size, groups=1):
    return nn.Sequential(nn.Conv1d(inputs, outputs, size, groups=groups, bias=False), nn.BatchNorm1d(outputs))


def main():
    args = parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    train, test = fsdd.split(fsdd.load(args.data), args.hold_out)
    inputs, targets = tensors(*fsdd.test_set(test))
    windows = fsdd.Augmented(train, args.seed)
    network = DigitsConv()
    steps = len(train) // args.batch
    name = f"hold_out_{args.hold_out}.log" if args.hold_out else "train.log"
    log = (HERE / name).open("w", buffering=1)
    note = f"{len(train)} words for training, {len(test)} for testing"
    note += f", speaker {args.hold_out} held out" if args.hold_out else ""
    common.fit(network, args, steps, lambda _: (tensors(*windows.batch(args.batch)) for _ in range(steps)),
               (inputs, targets), log, note)
    if not args.hold_out:
        common.export(network, HERE / "digits_conv.onnx", (1, fsdd.DIGITS.mels, fsdd.WINDOW), log)
        prove_streaming(network, log)
        (HERE / "labels.txt").write_text("\n".join(fsdd.LABELS) + "\n")


def tensors(features, targets):
    """[N, T, mels] of the front end -> [N, mels, T] of Conv1d."""
    return torch.from_numpy(np.ascontiguousarray(features.transpose(0, 2, 1))), torch.from_numpy(targets)


@torch.no_grad()
def prove_streaming(network, log):
    """The same weights in modules of `continual-inference`, frame by frame, against whole windows."""
    import continual as co

    def conv(pair, kernel, groups=1):
        """One step-wise convolution with the batch norm folded in."""
        plain, norm = pair
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        step = co.Conv1d(plain.in_channels, plain.out_channels, kernel, groups=groups)
        step.weight.copy_(plain.weight * scale[:, None, None])
        step.bias.copy_(norm.bias - norm.running_mean * scale)
        return step

    def block(b):
        inner = co.Sequential(conv(b.depthwise, KERNEL, CHANNELS), nn.ReLU(), conv(b.pointwise, 1))
        # The skip path takes the newest frames: no delay at all ("lagging" would take the oldest).
        return co.Sequential(co.BroadcastReduce(co.Delay(0), inner, auto_delay=False), nn.ReLU())

    network.eval()
    pooled = fsdd.WINDOW - 18
    steps = co.Sequential(conv(network.stem, 3), nn.ReLU(), *(block(b) for b in network.blocks),
                          co.AvgPool1d(pooled, stride=1))
    frames = torch.rand(1, fsdd.DIGITS.mels, 200, generator=torch.Generator().manual_seed(2))
    worst, ready = 0.0, 0
    for t in range(frames.shape[2]):
        y = steps.forward_step(frames[:, :, t])
        if isinstance(y, torch.Tensor):
            whole = network(frames[:, :, t - fsdd.WINDOW + 1:t + 1])
            worst = max(worst, (network.head(y) - whole).abs().max().item())
            ready += 1
    common.say(log, f"# continual-inference: {ready} steps of {frames.shape[2]} frames ready, "
                    f"within {worst:.1e} of whole windows; {MACS_PER_STEP} multiply-accumulates a step")
    assert ready == frames.shape[2] - fsdd.WINDOW + 1 and worst < 1e-4


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="fsdd-wav.tar.xz")
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--lr", type=float, default=4e-3)
    parser.add_argument("--weight-decay", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--hold-out", metavar="SPEAKER", help="test on a speaker that training never hears")
    return parser.parse_args()


if __name__ == "__main__":
    main()
