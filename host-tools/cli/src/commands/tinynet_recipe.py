"""Trains @ARCH@ at @SIDE@ x @SIDE@ pixels, @CLASSES@ classes. Written by `mote tinynet`.

    python <this file> --data <folder> [--epochs 200] [--out trained]

<folder>/train and <folder>/val hold a folder of pictures for each class. Writes
<out>.safetensors and <out>.onnx; then

    mote convert <out>.onnx -o net.mote --dtype int8 --calibrate <folder>/train --preprocess <out>.json

Needs torch, torchvision, timm, safetensors, onnx.
"""

import argparse
import json
from pathlib import Path

import timm
import timm.models.efficientnet
import torch
from safetensors.torch import load_file, save_file
from timm.data import create_transform
from torchvision.datasets import ImageFolder

SIDE, CLASSES = @SIDE@, @CLASSES@
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def network():
    net = @TIMM@
    net.load_state_dict(load_file(Path(__file__).with_name("@WEIGHTS@")))
    return net


def loader(folder, training, batch, workers):
    transform = create_transform(
        (3, SIDE, SIDE), is_training=training, auto_augment="rand-m9-mstd0.5" if training else None,
        re_prob=0.2 if training else 0.0, mean=MEAN, std=STD, interpolation="bicubic",
    )
    pictures = ImageFolder(folder, transform)
    assert len(pictures.classes) == CLASSES, f"{folder} has {len(pictures.classes)} classes, not {CLASSES}"
    return torch.utils.data.DataLoader(
        pictures, batch, shuffle=training, num_workers=workers, drop_last=training and len(pictures) > batch
    )


def accuracy(net, pictures):
    net.eval()
    with torch.no_grad():
        right = [(net(x).argmax(1) == y).float() for x, y in pictures]
    return torch.cat(right).mean().item()


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--data", type=Path, required=True)
    args.add_argument("--epochs", type=int, default=200)
    args.add_argument("--batch", type=int, default=128)
    args.add_argument("--lr", type=float, default=0.1, help="for a batch of 128")
    args.add_argument("--workers", type=int, default=2)
    args.add_argument("--out", type=Path, default=Path("trained"))
    args = args.parse_args()
    torch.manual_seed(0)
    net = network()
    train = loader(args.data / "train", True, args.batch, args.workers)
    val = loader(args.data / "val", False, args.batch, args.workers)
    norms = [p for p in net.parameters() if p.ndim <= 1]
    rest = [p for p in net.parameters() if p.ndim > 1]
    groups = [{"params": rest, "weight_decay": 1e-4}, {"params": norms, "weight_decay": 0.0}]
    optimizer = torch.optim.SGD(groups, args.lr * args.batch / 128, momentum=0.9, nesterov=True)
    steps = args.epochs * len(train)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, [g["lr"] for g in optimizer.param_groups], total_steps=steps, pct_start=0.05
    )
    loss = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    for epoch in range(args.epochs):
        net.train()
        for x, y in train:
            optimizer.zero_grad()
            error = loss(net(x), y)
            error.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {error.item():.3f}, accuracy {accuracy(net, val):.4f}", flush=True)
    net.eval()
    save_file(net.state_dict(), args.out.with_suffix(".safetensors"))
    torch.onnx.export(
        net, torch.zeros(1, 3, SIDE, SIDE), str(args.out.with_suffix(".onnx")), dynamo=False, opset_version=17,
        input_names=["input"], output_names=["logits"],
    )
    recipe = {"size": [SIDE, SIDE], "mean": MEAN, "std": STD, "resize": "bicubic"}
    args.out.with_suffix(".json").write_text(json.dumps(recipe) + "\n")


if __name__ == "__main__":
    main()
