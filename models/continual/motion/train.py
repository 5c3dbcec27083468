"""Train the small continual 3D network on moving shapes, and export it to ONNX.

    python models/continual/motion/train.py

A 3D network in the manner of X3D: bottlenecks with depthwise convolutions over space and time. Over
space they are padded; over time they are valid, and the skip path is cropped evenly at both ends, as
continual 3D networks do it.
"""

import sys
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import common  # noqa: E402
import generate  # noqa: E402

WINDOW = 20


class Motion(nn.Module):
    """Frames [N, 1, 20, 16, 16] -> logits [N, 9]; receptive field 11 frames, then a mean over 10."""

    def __init__(self):
        super().__init__()
        self.stem = conv_bn(1, 16, (3, 3, 3), stride=2)
        self.blocks = nn.Sequential(Bottleneck(16, 32, 16, 5), Bottleneck(16, 48, 32, 3, stride=2),
                                    Bottleneck(32, 64, 32, 3))
        self.head = nn.Linear(32, len(generate.LABELS))

    def forward(self, frames):
        x = self.blocks(F.relu(self.stem(frames)))
        return self.head(x.mean((3, 4)).mean(2))


class Bottleneck(nn.Module):
    """Pointwise, depthwise over `extent` frames and 3 x 3 pixels, pointwise; skipped where shapes allow."""

    def __init__(self, inputs, inner, outputs, extent, stride=1):
        super().__init__()
        self.expand = conv_bn(inputs, inner, (1, 1, 1))
        self.depthwise = conv_bn(inner, inner, (extent, 3, 3), stride, groups=inner)
        self.project = conv_bn(inner, outputs, (1, 1, 1))
        self.crop, self.skip = extent // 2, stride == 1 and inputs == outputs

    def forward(self, x):
        y = self.project(F.relu(self.depthwise(F.relu(self.expand(x)))))
        return F.relu(y + x[:, :, self.crop:-self.crop]) if self.skip else F.relu(y)


def conv_bn(inputs, outputs, size, stride=1, groups=1):
    padding = (0, size[1] // 2, size[2] // 2)
    return nn.Sequential(
        nn.Conv3d(inputs, outputs, size, (1, stride, stride), padding, groups=groups, bias=False),
        nn.BatchNorm3d(outputs),
    )


def main():
    parser = common.arguments(__doc__, epochs=16, batch=36, lr=4e-3, weight_decay=0.01, seed=5)
    parser.add_argument("--clips", type=int, default=1440, help="clips in an epoch")
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    network = Motion()
    log = (HERE / "train.log").open("w", buffering=1)
    common.fit_generated(network, args, generate.clips, 900, WINDOW, log)
    common.export(network, HERE / "motion.onnx", (1, 1, WINDOW, generate.SIZE, generate.SIZE), log)
    prove_streaming(network, log)
    (HERE / "labels.txt").write_text("\n".join(generate.LABELS) + "\n")
    generate.main()


@torch.no_grad()
def prove_streaming(network, log):
    """The same weights in modules of `continual-inference`, frame by frame, against whole windows."""
    import continual as co

    def conv(pair):
        plain = pair[0]
        return common.step_wise(co.Conv3d(plain.in_channels, plain.out_channels, plain.kernel_size, plain.stride,
                                          plain.padding, groups=plain.groups), pair)

    def block(b):
        inner = co.Sequential(conv(b.expand), nn.ReLU(), conv(b.depthwise), nn.ReLU(), conv(b.project))
        if b.skip:
            # Half of the block's delay: the middle frame of the depthwise convolution's extent.
            inner = co.BroadcastReduce(co.Delay(b.crop), inner, auto_delay=False)
        return co.Sequential(inner, nn.ReLU())

    network.eval()
    steps = co.Sequential(conv(network.stem), nn.ReLU(), *(block(b) for b in network.blocks))
    pool = co.AvgPool1d(WINDOW - 10, stride=1)

    def step(frame, _):
        y = steps.forward_step(frame)
        y = pool.forward_step(y.mean((2, 3))) if isinstance(y, torch.Tensor) else None
        return network.head(y) if isinstance(y, torch.Tensor) else None

    frames = torch.from_numpy(generate.clips(1, 120, 77)[0])
    common.prove(step, lambda window, _: network(window), frames, WINDOW, macs_per_step(), log)


def macs_per_step():
    """One frame of every convolution, and the head."""
    pixels, small = (generate.SIZE // 2) ** 2, (generate.SIZE // 4) ** 2
    stem = 27 * 16 * pixels
    first = (16 * 32 + 5 * 9 * 32 + 32 * 16) * pixels
    second = 16 * 48 * pixels + (27 * 48 + 48 * 32) * small
    third = (32 * 64 + 27 * 64 + 64 * 32) * small
    return stem + first + second + third + 32 * len(generate.LABELS)


if __name__ == "__main__":
    main()
