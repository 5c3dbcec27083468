"""int8 ResNet-8 on the 10,000 CIFAR-10 test pictures, LiteRT's reference kernels.

    python tests/golden/resnet_cifar.py --data ../shared/data

Writes mlperf/ic_resnet8_cifar.bin and mlperf/ic_resnet8_cifar.json.
"""

import argparse
import io
import struct
import tarfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from mlperf import OUT, header, interpreter, write

ARCHIVE = "cifar10/cifar10-test-jpeg.tar.xz"


def pictures(archive):
    """(class folder, file name, jpeg bytes), folders sorted, then names."""
    with tarfile.open(archive) as tar:
        files = [m for m in tar.getmembers() if m.isfile() and m.name.endswith(".jpg")]
        found = []
        for m in files:
            _, folder, name = m.name.split("/")
            found.append((folder, name, tar.extractfile(m).read()))
    return sorted(found)


def main():
    a = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    a.add_argument("--data", type=Path, required=True, help="the shared data folder")
    data = a.parse_args().data
    path = data / "mlperf-tiny/ic_resnet8_int8.tflite"
    it = interpreter(path)
    inp = it.get_input_details()[0]["index"]
    out = it.get_output_details()[0]["index"]

    found = pictures(data / ARCHIVE)
    classes = sorted({folder for folder, _, _ in found})
    records, right, names = [], 0, zlib.crc32(b"")
    for folder, name, jpeg in found:
        pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), np.uint8)
        it.set_tensor(inp, (pixels.astype(np.int16) - 128).astype(np.int8)[None])
        it.invoke()
        y = it.get_tensor(out)
        predicted = int(np.argmax(y[0]))
        right += predicted == classes.index(folder)
        names = zlib.crc32(f"{folder}/{name}\n".encode(), names)
        records.append(struct.pack("<BII", predicted, zlib.crc32(y.tobytes()), zlib.crc32(pixels.tobytes())))
    (OUT / "ic_resnet8_cifar.bin").write_bytes(b"".join(records))
    doc = header(path, it)
    doc |= {
        "archive": Path(ARCHIVE).name,
        "count": len(found),
        "classes": classes,
        "names_crc32": names,
        "correct": right,
        "accuracy": right / len(found),
    }
    write(OUT / "ic_resnet8_cifar.json", doc)


if __name__ == "__main__":
    main()
