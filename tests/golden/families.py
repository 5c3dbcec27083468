"""timm's answers for the networks of the model families, with numbers filled in by name.

    python tests/golden/families.py          # needs torch, timm, numpy; a minute

Writes families.json. Nothing of a network is stored but a CRC of its tensors'
names and shapes and of all filled numbers; README.md holds the rules.
"""

import base64
import copy
import json
import zlib
from pathlib import Path

import numpy as np
import timm
import torch
from timm.models import efficientnet

import prng

OUT = Path(__file__).resolve().parent / "families.json"
SIZES = {"tinynet_a": 192, "tinynet_b": 188, "tinynet_c": 184, "tinynet_d": 152, "tinynet_e": 106}
# Name, rows and columns, classes; None: as published. The published sizes of every
# network of moderate size, and others where something depends on the size.
CASES = [
    ("tinynet_a", None), ("tinynet_c", None), ("tinynet_e", None),
    ("tinynet_w0.521_d0.783", (170, 170, 10)), ("tinynet_e", (33, 48, 7)),
    ("mobilenetv1_100", None), ("mobilenetv1_025", (64, 64, 10)), ("mobilenetv1_100h", (64, 64, 10)),
    ("mobilenetv2_100", None), ("mobilenetv2_035", (96, 96, 10)), ("mobilenetv2_140", (64, 64, 10)),
    ("mobilenetv2_110d", (64, 64, 10)),
    ("efficientformer_l1", None), ("efficientformer_l3", None),
    ("efficientformerv2_s0", None), ("efficientformerv2_s1", None),
    ("efficientformerv2_s0", (64, 96, 10)), ("efficientformerv2_s2", (64, 64, 10)),
    ("efficientformerv2_l", (64, 64, 10)),
]
PICTURES = [1, 2]
# Variance of weights, times fan-in. Behind swish and GELU signals fade or grow from layer
# to layer; of these the first is taken with which the answer depends on the picture, and
# little on rounding.
GAINS = [3.0, 2.9, 2.8, 2.7, 2.6, 2.5, 2.4, 2.3, 2.2, 2.1, 2.0, 1.8, 1.6, 1.4]
LEAST_MOVED, MOST_ROUNDING = 0.05, 1e-5


def network(name, size, classes):
    if name.startswith("tinynet_w"):
        width, depth = name.removeprefix("tinynet_w").split("_d")
        return efficientnet._gen_tinynet("tinynet_a", float(width), float(depth), num_classes=classes)
    if name == "mobilenetv1_025":
        return efficientnet._gen_mobilenet_v1("mobilenetv1_100", 0.25, num_classes=classes)
    size = {"img_size": size} if name.startswith("efficientformer") else {}
    return timm.create_model(name, num_classes=classes, **size)


def filled(name, shape, gain):
    """A stream of its own for each tensor; mean and deviation by its last name."""
    last = name.split(".")[-1]
    if last == "weight" and len(shape) > 1:
        fan_in = int(np.prod(shape[1:]))
        mean, std = 0.0, np.sqrt(np.float32(gain) / np.float32(fan_in))
    else:
        mean, std = {
            "weight": (1.0, 0.1), "running_var": (1.0, 0.1), "gamma": (0.3, 0.1), "attention_biases": (0.0, 0.5),
        }.get(last, (0.0, 0.03))
    count = int(np.prod(shape))
    return prng.scaled(zlib.crc32(name.encode()), count, mean, std).reshape(shape)


def picture(seed, rows, columns):
    """A colour, a level for each 32 x 32 block and channel, and a tenth of noise; channels last."""
    high, wide = -(-rows // 32), -(-columns // 32)
    colour = prng.normal(seed, 3)
    blocks = prng.normal(seed + (1 << 32), high * wide * 3).reshape(high, wide, 3)
    blocks = blocks.repeat(32, 0).repeat(32, 1)[:rows, :columns]
    noise = prng.normal(seed + (2 << 32), rows * columns * 3).reshape(rows, columns, 3)
    return (colour + blocks) + np.float32(0.1) * noise


def answers(net, gain, rows, columns):
    """CRC of the numbers, logits of the pictures in f64, largest difference of f32, of the range."""
    crc = 0
    with torch.no_grad():
        for key, tensor in sorted(net.state_dict().items()):
            if tensor.dtype == torch.float32:
                values = filled(key, tuple(tensor.shape), gain)
                crc = zlib.crc32(values.astype("<f4").tobytes(), crc)
                tensor.copy_(torch.from_numpy(values))
        x = [torch.from_numpy(picture(s, rows, columns)).permute(2, 0, 1)[None] for s in PICTURES]
        single = [net(x)[0].numpy() for x in x]
        # A copy, whose cached tables of attention are its own.
        double = copy.deepcopy(net).double()
        logits = [double(x.double())[0].numpy() for x in x]
    rounding = max(np.abs(a - b).max() / np.ptp(b) for a, b in zip(single, logits))
    return crc, logits, rounding


def case(name, given):
    side = SIZES.get(name, 224)
    rows, columns, classes = given or (side, side, 1000)
    net = network(name, (rows, columns), classes).eval()
    lines = [f"{key} {list(t.shape)}\n" for key, t in sorted(net.state_dict().items())]
    for gain in GAINS:
        crc, logits, rounding = answers(net, gain, rows, columns)
        moved = np.abs(logits[0] - logits[1]).max() / max(np.ptp(x) for x in logits)
        if moved >= LEAST_MOVED and rounding <= MOST_ROUNDING:
            break
    else:
        raise SystemExit(f"{name}: no gain will do")
    print(f"{name} {rows} x {columns}: gain {gain}, pictures differ by {moved:.2f} of the range, f32 by {rounding:.1e}")
    encode = lambda x: base64.b64encode(x.astype("<f4").tobytes()).decode()
    return {
        "name": name, "size": [rows, columns], "classes": classes, "gain": gain,
        "parameters": sum(p.numel() for p in net.parameters()),
        "tensors": len(lines), "names_crc32": zlib.crc32("".join(lines).encode()), "values_crc32": crc,
        "pictures": PICTURES, "logits": [encode(x) for x in logits],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    cases = [case(*c) for c in CASES]
    head = {"oracle": f"timm {timm.__version__}, torch {torch.__version__.split('+')[0]}, float64"}
    OUT.write_text(json.dumps({**head, "cases": cases}, indent=1) + "\n")
