"""Train the TinyNet for 32x32 pictures on CIFAR-10 and export it to ONNX.

    python models/tinynet/cifar10/train.py --data <dir>

<dir> holds `train/<class>/*.jpg` and `test/<class>/*.jpg` (also .png). The run is seeded, takes a quarter of an hour on
one core, and can be stopped at any time: `--resume` goes on from the last whole epoch.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "training"))

import common  # noqa: E402

if __name__ == "__main__":
    common.recipe(__doc__, HERE, "tinynet", epochs=12, optimizer="sgd", lr=0.15, weight_decay=3e-4, seed=10)
