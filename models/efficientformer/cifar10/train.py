"""Train the EfficientFormer for 32x32 pictures on CIFAR-10 and export it to ONNX.

    python models/efficientformer/cifar10/train.py --data <dir>

<dir> holds `train/<class>/*.jpg` and `test/<class>/*.jpg` (also .png). The run is seeded, takes 40 minutes on
one core, and can be stopped at any time: `--resume` goes on from the last whole epoch. The dense MobileNet teaches, so
its recipe comes first.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "training"))

import common  # noqa: E402

if __name__ == "__main__":
    common.recipe(__doc__, HERE, "efficientformer", epochs=30, optimizer="adamw", lr=3e-3, weight_decay=0.05, seed=10,
                  compile=True, teacher="mobilenet", sizes=[24, 32, 32])
