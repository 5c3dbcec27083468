"""Cut the demo and calibration pictures out of freely licensed photographs.

    python models/cifar10/make_samples.py --gcompris <dir> --lomiri <dir>

The photographs come from two Debian packages, unpacked with `dpkg-deb -x`:
gcompris-qt-data 3.1-2 and lomiri-wallpapers-16.04 20.04.0-2, and from the Python package
scikit-image. Authors and licences stand in `samples/README.md`; only photographs in the public
domain, under CC0 or under CC BY are used. Running this again gives the same pictures.
"""

import argparse
import struct
import zlib
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageEnhance

HERE = Path(__file__).resolve().parent

# name: (source, photograph, left, top, side), the square in pixels of the photograph.
SAMPLES = {
    "bird-kingfisher": ("erase", "kingfisher", 400, 100, 880),
    "bird-owl": ("explore_farm_animals", "owl", 330, 30, 600),
    "cat-chelsea": ("skimage", "chelsea.png", 60, 0, 300),
    "cat-kitten": ("erase", "kitten", 620, 180, 800),
    "deer-moose": ("explore_world_animals", "moose", 230, 0, 683),
    "dog-shepherd": ("explore_farm_animals", "dog", 150, 20, 740),
    "dog-spaniels": ("lomiri", "friends_by_Aitzol_Berasategi.jpg", 560, 640, 900),
    "horse-nokota": ("explore_farm_animals", "horse", 540, 120, 420),
}

# Every photograph gives a middle square and, where `two`, an off-centre one that is mirrored
# and brighter or darker, so that the ranges see both fine and flat, light and dark pictures.
CALIBRATION = {
    ("explore_farm_animals", True): ["cat", "chicken", "cow", "dog", "duck", "horse", "owl"],
    ("explore_world_animals", True): ["bison", "moose", "polar_bear", "scarlet_macaw"],
    ("erase", True): ["kingfisher"],
    ("monuments", False): ["jucheTower", "operaHouse", "statueOfLiberty", "usCapitol"],
    ("renewable", False): ["solar7", "windmill1", "windmill13", "windmill14"],
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gcompris", type=Path, required=True, help="unpacked gcompris-qt-data")
    parser.add_argument("--lomiri", type=Path, required=True, help="unpacked lomiri-wallpapers-16.04")
    photographs = Photographs(parser.parse_args())

    samples = HERE / "samples"
    (samples / "calibration").mkdir(parents=True, exist_ok=True)
    for name, (source, photograph, left, top, side) in SAMPLES.items():
        picture = square(photographs.get(source, photograph), left, top, side, 160)
        picture.save(samples / f"{name}.jpg", quality=90)

    count = 0
    for (source, two), names in CALIBRATION.items():
        for name in names:
            photograph = photographs.get(source, name)
            width, height = photograph.size
            side = min(width, height)
            views = [square(photograph, (width - side) // 2, (height - side) // 2, side, 64)]
            if two:
                small = side * 2 // 3
                view = square(photograph, (width - small) // 3, (height - small) // 2, small, 64)
                view = view.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
                views.append(ImageEnhance.Brightness(view).enhance(1.3 if count % 4 else 0.6))
            for view in views:
                view.save(samples / "calibration" / f"{count:02d}-{name}.png", optimize=True)
                count += 1
    print(f"{len(SAMPLES)} samples, {count} calibration pictures")


class Photographs:
    """Finds a photograph by source and name; reads each resource file once."""

    def __init__(self, args):
        self.gcompris, self.lomiri, self.resources = args.gcompris, args.lomiri, {}

    def get(self, source, name):
        if source == "skimage":
            import skimage
            return Image.open(Path(skimage.__file__).parent / "data" / name).convert("RGB")
        if source == "lomiri":
            return Image.open(self.lomiri / "usr/share/backgrounds" / name).convert("RGB")
        file = "categorization" if source in ("monuments", "renewable") else source
        if file not in self.resources:
            self.resources[file] = read_rcc(self.gcompris / f"usr/share/gcompris-qt/rcc/{file}.rcc")
        found = [p for p in self.resources[file]
                 if p.endswith(f"/{name}.webp") and (file == source or f"/{source}/" in p)]
        if len(found) != 1:
            raise SystemExit(f"{source}/{name}: found {found}")
        return Image.open(BytesIO(self.resources[file][found[0]])).convert("RGB")


def square(photograph, left, top, side, size):
    box = (left, top, left + side, top + side)
    return photograph.crop(box).resize((size, size), Image.Resampling.LANCZOS)


def read_rcc(path):
    """The files of a Qt binary resource: a tree of nodes beside a name and a data section."""
    raw = path.read_bytes()
    _, version, tree, data, names = struct.unpack_from(">4sIIII", raw)
    node_size = 14 if version < 2 else 22
    files = {}

    def walk(node, parent):
        at = tree + node * node_size
        name_at, flags = struct.unpack_from(">IH", raw, at)
        path = parent
        if node:
            length, = struct.unpack_from(">H", raw, names + name_at)
            start = names + name_at + 6
            path = f"{parent}/{raw[start:start + 2 * length].decode('utf-16-be')}"
        if flags & 2:
            count, first = struct.unpack_from(">II", raw, at + 6)
            for child in range(first, first + count):
                walk(child, path)
            return
        offset, = struct.unpack_from(">I", raw, at + 10)
        length, = struct.unpack_from(">I", raw, data + offset)
        content = raw[data + offset + 4:data + offset + 4 + length]
        files[path] = zlib.decompress(content[4:]) if flags & 1 else content

    walk(0, "")
    return files


if __name__ == "__main__":
    main()
