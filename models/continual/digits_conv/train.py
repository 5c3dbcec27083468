"""Train the convolutional spoken-digit network, and export it to ONNX.

    python models/continual/digits_conv/train.py --data ../shared/data/fsdd/fsdd-wav.tar.xz

Every convolution over time is valid: no padding anywhere. A residual block drops the frames that its
convolution consumed from the start of the skip path, and the head averages over the frames that are
left. So each window's result is a function of its frames alone, whatever stands before them, and a
stream of new frames can be answered with the work of one frame, exactly.
"""

import sys
from pathlib import Path

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
    args = fsdd.arguments(__doc__, epochs=50, batch=64, lr=4e-3, weight_decay=0.02, seed=3)
    network, _, log = fsdd.fit(DigitsConv, args, HERE)
    if not args.hold_out:
        common.export(network, HERE / "digits_conv.onnx", (1, fsdd.DIGITS.mels, fsdd.WINDOW), log)
        prove_streaming(network, log)
        (HERE / "labels.txt").write_text("\n".join(fsdd.LABELS) + "\n")


def prove_streaming(network, log):
    """The same weights in modules of `continual-inference`, frame by frame, against whole windows."""
    import continual as co

    def conv(pair, kernel, groups=1):
        return common.step_wise(co.Conv1d(pair[0].in_channels, pair[0].out_channels, kernel, groups=groups), pair)

    def block(b):
        inner = co.Sequential(conv(b.depthwise, KERNEL, CHANNELS), nn.ReLU(), conv(b.pointwise, 1))
        # The skip path takes the newest frames: no delay at all ("lagging" would take the oldest).
        return co.Sequential(co.BroadcastReduce(co.Delay(0), inner, auto_delay=False), nn.ReLU())

    network.eval()
    steps = co.Sequential(conv(network.stem, 3), nn.ReLU(), *(block(b) for b in network.blocks),
                          co.AvgPool1d(fsdd.WINDOW - 18, stride=1))

    def step(frame, _):
        y = steps.forward_step(frame)
        return network.head(y) if isinstance(y, torch.Tensor) else None

    frames = torch.rand(1, fsdd.DIGITS.mels, 200, generator=torch.Generator().manual_seed(2))
    common.prove(step, lambda window, _: network(window), frames, fsdd.WINDOW, MACS_PER_STEP, log)


if __name__ == "__main__":
    main()
