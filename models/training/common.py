"""What the recipes for CIFAR-10 share: pictures, augmentation, training that can be resumed, the log, the export."""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from PIL import Image
from torch.nn import functional as F

import networks

HERE = Path(__file__).resolve().parent
# The small residual network's folder: the same pictures, labels and scaling.
CIFAR10 = HERE.parent / "cifar10"


def arguments(doc, epochs, optimizer, lr, weight_decay, seed, compile=False):
    """The parser of a recipe's command line, with its defaults."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with train/<class>/*.jpg and test/<class>/*.jpg")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--optimizer", choices=["sgd", "adamw"], default=optimizer)
    parser.add_argument("--lr", type=float, default=lr)
    parser.add_argument("--weight-decay", type=float, default=weight_decay)
    parser.add_argument("--smoothing", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20, 24, 32],
                        help="pictures grow in equal shares of the epochs; the last size is the network's")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=compile,
                        help="torch.compile: a quarter faster, needs a C++ compiler")
    parser.add_argument("--checkpoints", type=Path, default=Path(tempfile.gettempdir()) / "mote-training")
    parser.add_argument("--resume", action="store_true", help="go on from the last whole epoch")
    return parser


def recipe(doc, folder, build, teacher=None, sizes=None, **defaults):
    """A recipe whose network is `networks.<build>`: trains it and exports it into `folder`, with its log.

    `teacher` names a trained network whose checkpoint must be there.
    """
    parser = arguments(doc, **defaults)
    if sizes:
        parser.set_defaults(sizes=sizes)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    splits, log = load(args.data, args.checkpoints), open_log(folder, args)
    network = getattr(networks, build)()
    fit(network, args, splits, build, log, teacher and answering(trained(args, teacher), args))
    export(network, folder / f"{build}_cifar10.onnx", log)


def trained(args, build):
    """`networks.<build>` as its recipe's run left it."""
    network = getattr(networks, build)()
    network.load_state_dict(torch.load(args.checkpoints / f"{build}.pt", weights_only=True)["network"])
    return network


def answering(network, args):
    """A network that only answers: a teacher."""
    network = networks.depthwise_in_float32(network).eval().to(memory_format=torch.channels_last)
    return torch.compile(network, dynamic=False) if args.compile else network


def fit(network, args, splits, name, log, teacher=None, after_step=None):
    """Trains `network` on the pictures and logs every epoch; the last epoch's network is what remains.

    Pictures are small at first and grow (Howard, fast.ai's entry to DAWNBench, 2018): most of what is learnt early
    does not need detail. A `teacher`'s answers count as much as the labels once pictures have their last size, the only
    one that it knows. `after_step(step)` is called behind every step of the optimizer. The test pictures have no say in
    the training.
    """
    torch.manual_seed(args.seed)
    # A generator of its own for order and augmentation, so that a resumed run can restore it.
    rng = torch.Generator().manual_seed(args.seed)
    images, targets = splits["train"]
    size, padded = 0, None
    steps = len(targets) // args.batch
    network = networks.depthwise_in_float32(network.to(memory_format=torch.channels_last))
    optimizer, schedule = make_optimizer(network, args, steps * args.epochs)

    first, checkpoint = 0, args.checkpoints / f"{name}.pt"
    args.checkpoints.mkdir(parents=True, exist_ok=True)
    if args.resume and checkpoint.exists():
        state = torch.load(checkpoint, weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        rng.set_state(state["rng"])
        first = state["epoch"]
    if not first:
        say(log, f"# {name}: seed {args.seed}, {args.epochs} epochs of {steps} steps, batch {args.batch}, "
                 f"{args.optimizer}, lr {args.lr}, weight decay {args.weight_decay}, "
                 f"{sum(p.numel() for p in network.parameters())} parameters")
        say(log, "# epoch  size  lr       train_loss  train_acc  test_acc  seconds")

    for epoch in range(first, args.epochs):
        wanted = args.sizes[epoch * len(args.sizes) // args.epochs]
        if size != wanted:
            size, padded = wanted, padded_pictures(images, wanted)
            networks.set_size(network, size)
            answer = torch.compile(network, dynamic=False) if args.compile else network
        started, total, right = time.time(), 0.0, 0
        network.train()
        order = torch.randperm(len(targets), generator=rng)
        for step in range(steps):
            pick = order[step * args.batch:(step + 1) * args.batch]
            batch, target = normalize(augment(padded, size, pick, rng)), targets[pick]
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = answer(batch)
            loss = F.cross_entropy(logits.float(), target, label_smoothing=args.smoothing)
            if teacher is not None and size == args.sizes[-1]:
                loss = 0.5 * loss + 0.5 * distance(logits.float(), teacher, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
            if after_step:
                after_step(epoch * steps + step + 1)
            total += loss.item()
            right += (logits.argmax(1) == target).sum().item()
        score = accuracy(network, resize(splits["test"][0], size), splits["test"][1])
        say(log, f"{epoch + 1:7d}  {size:4d}  {schedule.get_last_lr()[0]:.5f}  {total / steps:10.4f}  "
                 f"{right / steps / args.batch:9.4f}  {score:8.4f}  {time.time() - started:7.1f}")
        torch.save({"network": network.state_dict(), "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(), "rng": rng.get_state(), "epoch": epoch + 1}, checkpoint)


def make_optimizer(network, args, steps):
    """SGD with Nesterov momentum or AdamW, with a one-cycle rate; decay on weights alone, not on scales and biases."""
    groups = [{"params": [p for p in network.parameters() if p.ndim > 1], "weight_decay": args.weight_decay},
              {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0}]
    if args.optimizer == "sgd":
        optimizer = torch.optim.SGD(groups, lr=args.lr, momentum=0.9, nesterov=True)
    else:
        optimizer = torch.optim.AdamW(groups, lr=args.lr)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(
        optimizer, args.lr, steps, pct_start=0.2, div_factor=10.0, final_div_factor=1000.0, cycle_momentum=False)


def distance(logits, teacher, batch):
    """Cross-entropy between the teacher's probabilities and the network's (Hinton et al., 2015, temperature 1)."""
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        wanted = teacher(batch)
    return F.cross_entropy(logits, wanted.float().softmax(1))


def padded_pictures(images, size):
    """The pictures in this size with an eighth of black around: uint8 [N, H, W, C]."""
    return F.pad(resize(images, size), (size // 8,) * 4).permute(0, 2, 3, 1).contiguous()


def resize(images, size):
    if images.shape[-1] == size:
        return images
    return torch.cat([F.interpolate(part, (size, size), mode="bilinear", antialias=True) for part in images.split(1000)])


def augment(padded, size, pick, rng):
    """A random window of each padded picture, mirrored every other time: uint8 [N, size, size, 3]."""
    count = len(pick)
    corner = torch.randint(0, size // 8 * 2 + 1, (2, count, 1), generator=rng)
    ahead = torch.arange(size).expand(count, size)
    mirror = torch.rand(count, 1, generator=rng) < 0.5
    rows, columns = corner[0] + ahead, corner[1] + torch.where(mirror, size - 1 - ahead, ahead)
    return padded[pick[:, None, None], rows[:, :, None], columns[:, None, :]]


def normalize(images):
    """(pixel / 255 - mean) / std per channel, as `preprocess.json` says; [N, H, W, C] in, [N, C, H, W] out."""
    return images.float().div_(255.0).sub_(MEAN).div_(STD).permute(0, 3, 1, 2)


@torch.no_grad()
def accuracy(network, images, targets):
    """In float32, whatever the training's arithmetic was."""
    network.eval()
    right = 0
    for start in range(0, len(targets), 250):
        batch = normalize(images[start:start + 250].permute(0, 2, 3, 1))
        right += (network(batch).argmax(1) == targets[start:start + 250]).sum().item()
    return right / len(targets)


def export(network, path, log):
    """Writes the network with batch norm folded (a zero weight stays zero) and compares it with PyTorch."""
    network = networks.depthwise_as_defined(network.eval().to(memory_format=torch.contiguous_format))
    sample = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    torch.onnx.export(network, (sample,), str(path), dynamo=False, opset_version=17, input_names=["image"],
                      output_names=["logits"])
    nodes = [node.op_type for node in onnx.load(str(path)).graph.node if node.op_type not in ("Constant", "Identity")]
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with torch.no_grad():
        expected = network(sample).numpy()
    error = np.abs(session.run(["logits"], {"image": sample.numpy()})[0] - expected).max()
    counts = {op: nodes.count(op) for op in sorted(set(nodes))}
    say(log, f"# {path.name}: {path.stat().st_size} bytes, nodes {counts}, ONNX Runtime within {error:.1e} of PyTorch")
    assert error < 1e-4, "ONNX Runtime and PyTorch disagree"


def score_file(path, split):
    """Accuracy of an exported network in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    images, targets = split
    right = 0
    for image, target in zip(images.split(1), targets):
        batch = normalize(image.permute(0, 2, 3, 1)).contiguous().numpy()
        right += int(session.run(["logits"], {"image": batch})[0].argmax() == target)
    return right / len(targets)


def load(data, checkpoints):
    """Both splits, decoded once and kept beside the checkpoints: uint8 [N, 3, 32, 32] and class numbers [N]."""
    splits = {}
    checkpoints.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        kept = checkpoints / f"{split}.npz"
        if not kept.exists():
            np.savez(kept, **decode(data / split))
        arrays = np.load(kept)
        splits[split] = (torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).contiguous(),
                         torch.from_numpy(arrays["targets"]))
    return splits


def decode(folder):
    images, targets = [], []
    for number, label in enumerate((CIFAR10 / "labels.txt").read_text().split()):
        for file in sorted(f for f in (folder / label).iterdir() if f.suffix in (".jpg", ".png")):
            with Image.open(file) as picture:
                images.append(np.asarray(picture.convert("RGB")))
            targets.append(number)
    return {"images": np.stack(images), "targets": np.array(targets)}


def open_log(folder, args):
    return (folder / "train.log").open("a" if args.resume else "w", buffering=1)


def say(log, line):
    print(line, flush=True)
    log.write(line + "\n")


def preprocessing():
    settings = json.loads((CIFAR10 / "preprocess.json").read_text())
    return torch.tensor(settings["mean"]), torch.tensor(settings["std"])


MEAN, STD = preprocessing()
