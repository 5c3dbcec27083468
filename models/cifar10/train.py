"""Train the small CIFAR-10 network that ships with Mote, and export it to ONNX.

    python models/cifar10/train.py --data <dir>

<dir> holds `train/<class>/*.jpg` and `test/<class>/*.jpg` (also .png), with the class
names of `labels.txt`. The run is seeded, needs one CPU core and about half an hour, and can
be stopped at any time: `--resume` goes on from the last whole epoch.

The network is a residual one in the manner of ResNet-8, but it leaves the 32x32 resolution
right after the first convolution: the same work as ResNet-8 (12.5 M multiply-accumulates) in
two thirds of its activation memory, because no skip connection lives at full resolution.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent


def main():
    args = parse_args()
    torch.set_num_threads(args.threads)
    if args.export:
        network = SmallResNet()
        network.load_state_dict(torch.load(args.export, weights_only=True)["network"])
        export(network, HERE / "cifar10_small.onnx")
        return

    labels = (HERE / "labels.txt").read_text().split()
    train_set = load_split(args.data / "train", labels)
    test_set = load_split(args.data / "test", labels)
    network = train(args, train_set, test_set)
    export(network, HERE / "cifar10_small.onnx")


class SmallResNet(nn.Module):
    """Convolution, three residual blocks, global average pool, linear head."""

    def __init__(self, classes=10):
        super().__init__()
        self.stem = conv_bn(3, 16, 3, 1)
        self.blocks = nn.Sequential(Residual(16, 32, 2), Residual(32, 32, 1), Residual(32, 64, 2))
        self.head = nn.Linear(64, classes)

    def forward(self, image):
        x = self.blocks(F.relu(self.stem(image)))
        return self.head(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Residual(nn.Module):
    """Two 3x3 convolutions beside a skip connection; a 1x1 projection where the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.first = conv_bn(inputs, outputs, 3, stride)
        self.second = conv_bn(outputs, outputs, 3, 1)
        same = inputs == outputs and stride == 1
        self.skip = nn.Identity() if same else conv_bn(inputs, outputs, 1, stride)

    def forward(self, x):
        return F.relu(self.second(F.relu(self.first(x))) + self.skip(x))


def conv_bn(inputs, outputs, size, stride):
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False),
        nn.BatchNorm2d(outputs),
    )


def train(args, train_set, test_set):
    torch.manual_seed(args.seed)
    # A generator of its own for order and augmentation, so that a resumed run can restore it.
    rng = torch.Generator().manual_seed(args.seed)
    images, targets = train_set
    padded = F.pad(images, (4, 4, 4, 4))
    steps = len(targets) // args.batch

    network = SmallResNet().to(memory_format=torch.channels_last)
    # Weight decay on the weights alone: it would only pull scales and biases towards zero.
    weights = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    optimizer = torch.optim.SGD(
        [{"params": weights, "weight_decay": args.weight_decay}, {"params": others, "weight_decay": 0.0}],
        lr=args.lr, momentum=0.9, nesterov=True,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=args.lr, total_steps=steps * args.epochs, pct_start=0.25,
        div_factor=10.0, final_div_factor=1000.0, cycle_momentum=False,
    )

    first = 0
    checkpoint = args.checkpoints / "last.pt"
    args.checkpoints.mkdir(parents=True, exist_ok=True)
    if args.resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        rng.set_state(state["rng"])
        first = state["epoch"]

    log = (HERE / "train.log").open("a" if first else "w", buffering=1)
    if not first:
        parameters = sum(p.numel() for p in network.parameters())
        say(log, f"# seed {args.seed}, {args.epochs} epochs of {steps} steps, batch {args.batch}, "
                 f"lr {args.lr}, weight decay {args.weight_decay}, {parameters} parameters, "
                 f"{'bfloat16' if args.bf16 else 'float32'} training arithmetic")
        say(log, "# epoch  lr      train_loss  train_acc  test_loss  test_acc  seconds")

    for epoch in range(first, args.epochs):
        started, network_loss, right = time.time(), 0.0, 0
        network.train()
        order = torch.randperm(len(targets), generator=rng)
        for step in range(steps):
            pick = order[step * args.batch:(step + 1) * args.batch]
            batch, target = augment(padded[pick], rng), targets[pick]
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
                logits = network(normalize(batch))
            loss = F.cross_entropy(logits.float(), target, label_smoothing=args.smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            network_loss += loss.item()
            right += (logits.argmax(1) == target).sum().item()
        test_loss, test_accuracy = evaluate(network, test_set)
        say(log, f"{epoch + 1:7d}  {schedule.get_last_lr()[0]:.4f}  {network_loss / steps:10.4f}  "
                 f"{right / (steps * args.batch):9.4f}  {test_loss:9.4f}  {test_accuracy:8.4f}  "
                 f"{time.time() - started:7.1f}")
        torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(), "rng": rng.get_state(), "epoch": epoch + 1},
                   checkpoint)
    return network


def augment(padded, rng):
    """A random 32x32 window of each padded picture, mirrored every other time."""
    count = len(padded)
    shifts = torch.randint(0, 9, (count, 2), generator=rng).tolist()
    crops = torch.stack([p[:, y:y + 32, x:x + 32] for p, (y, x) in zip(padded, shifts)])
    mirror = torch.rand(count, generator=rng) < 0.5
    crops[mirror] = crops[mirror].flip(3)
    return crops


@torch.no_grad()
def evaluate(network, split):
    """Mean cross-entropy and accuracy in float32, whatever the training arithmetic was."""
    network.eval()
    images, targets = split
    loss, right = 0.0, 0
    for start in range(0, len(targets), 500):
        logits = network(normalize(images[start:start + 500]))
        target = targets[start:start + 500]
        loss += F.cross_entropy(logits, target, reduction="sum").item()
        right += (logits.argmax(1) == target).sum().item()
    return loss / len(targets), right / len(targets)


def export(network, path):
    """Write the network with its BatchNormalization nodes and compare it with PyTorch."""
    network = network.eval().to(memory_format=torch.contiguous_format)
    sample = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    # PRESERVE keeps the exporter from folding batch norm into the convolutions: that fold is
    # work for Mote's compiler, and the shipped network should put it to the test.
    torch.onnx.export(
        network, (sample,), str(path), dynamo=False, opset_version=13, input_names=["image"],
        output_names=["logits"], training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )
    import onnx
    import onnxruntime
    nodes = [n.op_type for n in onnx.load(str(path)).graph.node]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(sample).numpy()
    error = np.abs(session.run(["logits"], {"image": sample.numpy()})[0] - expected).max()
    counts = {op: nodes.count(op) for op in sorted(set(nodes))}
    print(f"{path.name}: {path.stat().st_size} bytes, nodes {counts}, largest difference {error:.2e}")
    assert error < 1e-4, "ONNX Runtime and PyTorch disagree"


def normalize(images):
    """(pixel / 255 - mean) / std per channel, as `preprocess.json` says."""
    x = images.float().div_(255.0).sub_(MEAN).div_(STD)
    return x.contiguous(memory_format=torch.channels_last)


def load_split(folder, labels):
    """All pictures of a split, decoded once: uint8 [N, 3, 32, 32] and class numbers [N]."""
    images, targets = [], []
    for number, label in enumerate(labels):
        files = sorted(f for f in (folder / label).iterdir() if f.suffix in (".jpg", ".png"))
        for file in files:
            with Image.open(file) as picture:
                images.append(np.asarray(picture.convert("RGB")))
            targets.append(number)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(), torch.tensor(targets)


def say(log, line):
    print(line, flush=True)
    log.write(line + "\n")


def preprocessing():
    settings = json.loads((HERE / "preprocess.json").read_text())
    shape = (1, 3, 1, 1)
    return torch.tensor(settings["mean"]).view(shape), torch.tensor(settings["std"]).view(shape)


MEAN, STD = preprocessing()


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder with train/ and test/")
    parser.add_argument("--epochs", type=int, default=36)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--lr", type=float, default=0.2)
    parser.add_argument("--weight-decay", type=float, default=3e-4)
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True,
                        help="bfloat16 training arithmetic (twice as fast where the CPU has it)")
    parser.add_argument("--checkpoints", type=Path, default=Path("/tmp/mote-cifar10"))
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--export", type=Path, metavar="CHECKPOINT", help="only export a checkpoint")
    args = parser.parse_args()
    if not args.export and not args.data:
        parser.error("--data is required")
    return args


if __name__ == "__main__":
    main()
