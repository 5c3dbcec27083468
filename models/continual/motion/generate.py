"""Moving shapes: a soft disc, square or cross on a noisy ground, classified by the way it moves.

    python models/continual/motion/generate.py     # writes samples/stream.npy and samples/stream.json

A frame is 16 x 16 greys around 0..1. The shape moves by 0.4 to 1.0 pixels a frame in one of eight
directions, or by less than 0.04 (still), and comes back on the other side when it leaves. No single
frame tells the class. Shape, size, contrast (dark on light too), ground and noise vary.
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
LABELS = ["east", "northeast", "north", "northwest", "west", "southwest", "south", "southeast", "still"]
SIZE = 16


class Scene:
    """One shape; `frames` gives its next frames, `turn` another way of moving."""

    def __init__(self, rng):
        self.rng = rng
        self.shape = rng.integers(3)
        self.radius = rng.uniform(2.0, 3.6)
        self.position = rng.uniform(0, SIZE, 2)
        self.contrast = rng.uniform(0.35, 0.9) * rng.choice([-1, 1])
        self.ground = rng.uniform(0.1, 0.4) if self.contrast > 0 else rng.uniform(0.6, 0.9)
        self.slope = rng.uniform(-0.01, 0.01, 2)
        self.noise = rng.uniform(0.0, 0.08)
        self.turn(rng.integers(len(LABELS)))

    def turn(self, label):
        if label == LABELS.index("still"):
            angle, speed = self.rng.uniform(0, 2 * np.pi), self.rng.uniform(0, 0.04)
        else:
            angle, speed = label * np.pi / 4 + self.rng.uniform(-0.15, 0.15), self.rng.uniform(0.4, 1.0)
        # Rows count downwards.
        self.velocity = speed * np.array([-np.sin(angle), np.cos(angle)])

    def frames(self, count):
        """float32 [count, SIZE, SIZE]."""
        grid = np.stack(np.meshgrid(np.arange(SIZE), np.arange(SIZE), indexing="ij"))
        positions = self.position[:, None] + self.velocity[:, None] * np.arange(count)
        self.position = (positions[:, -1] + self.velocity) % SIZE
        distance = grid[:, None] - positions[:, :, None, None]
        distance = (distance + SIZE / 2) % SIZE - SIZE / 2
        y, x = np.abs(distance)
        if self.shape == 0:
            depth = self.radius - np.hypot(x, y)
        elif self.shape == 1:
            depth = 0.85 * self.radius - np.maximum(x, y)
        else:
            depth = np.minimum(self.radius - np.maximum(x, y), 0.35 * self.radius - np.minimum(x, y))
        ground = self.ground + np.tensordot(self.slope, grid - SIZE / 2, 1)
        frames = ground + self.contrast * np.clip(depth + 0.5, 0, 1)
        return (frames + self.noise * self.rng.normal(size=frames.shape)).astype(np.float32)


def clips(count, frames, seed):
    """float32 [count, 1, frames, SIZE, SIZE] and classes, every class equally often."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % len(LABELS)
    out = []
    for target in targets:
        scene = Scene(rng)
        scene.turn(target)
        out.append(scene.frames(frames))
    return np.stack(out)[:, None], targets


def main():
    rng = np.random.default_rng(20)
    scene, frames, events = Scene(rng), [], []
    for target in [0, 8, 2, 5]:
        scene.turn(target)
        events.append({"frame": sum(map(len, frames)), "label": LABELS[target]})
        frames.append(scene.frames(36))
    (HERE / "samples").mkdir(exist_ok=True)
    np.save(HERE / "samples/stream.npy", np.concatenate(frames)[:, None])
    (HERE / "samples/stream.json").write_text(json.dumps(events, indent=1) + "\n")


if __name__ == "__main__":
    main()
