"""Train the MobileNet for 32x32 pictures on CIFAR-10 and export it to ONNX.

    python models/mobilenet/cifar10/train.py --data <dir>

<dir> holds `train/<class>/*.jpg` and `test/<class>/*.jpg` (also .png). The run is seeded, takes 20 minutes on
one core, and can be stopped at any time: `--resume` goes on from the last whole epoch.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "training"))

import common  # noqa: E402

if __name__ == "__main__":
    common.recipe(__doc__, HERE, "mobilenet", epochs=18, optimizer="sgd", lr=0.2, weight_decay=5e-4, seed=10, compile=True)
