"""Moving stick figures: 13 joints in the plane, classified by what the figure does.

    python models/continual/skeleton/generate.py     # writes samples/stream.npy and samples/stream.json

A figure of random proportions stands somewhere, turned and leaning a little, and repeats one action with a
tempo, width and phase of its own; every joint is measured with noise. Angles are in radians from
straight down (limbs) or straight up (trunk); the unit of length is the height of the trunk, about.
"""

import json
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
LABELS = ["stand", "wave_right", "wave_left", "clap", "walk", "squat", "bow", "jump"]
# Joint, parent: head and limbs hang on the neck (1) and the hip (2).
JOINTS = ["head", "neck", "hip", "elbow_r", "hand_r", "elbow_l", "hand_l", "knee_r", "foot_r", "knee_l",
          "foot_l", "shoulder_r", "shoulder_l"]
PARENTS = [1, 2, 2, 11, 3, 12, 5, 2, 7, 2, 9, 1, 1]
CENTRE = 2


class Figure:
    """`frames` gives the next positions, `act` another action."""

    def __init__(self, rng):
        self.rng = rng
        self.size = rng.uniform(0.8, 1.2)
        self.trunk, self.head = rng.uniform(0.9, 1.1), rng.uniform(0.25, 0.35)
        self.arm, self.leg = rng.uniform(0.4, 0.5, 2), rng.uniform(0.45, 0.6, 2)
        self.shoulder = rng.uniform(0.2, 0.3)
        self.place = rng.uniform(-0.4, 0.4, 2)
        self.lean = rng.uniform(-0.15, 0.15)
        self.squeeze = rng.uniform(0.75, 1.0)  # turned out of the picture's plane
        self.noise = rng.uniform(0.005, 0.03)
        self.rest = rng.uniform(-0.12, 0.12, 9)
        self.act(rng.integers(len(LABELS)))

    def act(self, label):
        self.label = LABELS[label]
        self.tempo = 2 * np.pi / self.rng.uniform(10, 20)  # per frame
        self.width = self.rng.uniform(0.75, 1.25)
        self.phase = self.rng.uniform(0, 2 * np.pi)

    def frames(self, count):
        """float32 [count, 2, 13]: x to the right, y upwards."""
        angle = self.phase + self.tempo * np.arange(count)
        self.phase += self.tempo * count
        swing, lift = np.sin(angle), 0.5 - 0.5 * np.cos(angle)
        a = {name: np.full(count, rest) for name, rest in zip(
            ("trunk", "arm_r", "fore_r", "arm_l", "fore_l", "thigh_r", "shin_r", "thigh_l", "shin_l"), self.rest)}
        a["arm_r"], a["arm_l"] = a["arm_r"] + 0.2, a["arm_l"] - 0.2
        drop, w = np.zeros(count), self.width
        if self.label == "wave_right":
            a["arm_r"] += 1.9
            a["fore_r"] += 2.6 + 0.6 * w * swing
        elif self.label == "wave_left":
            a["arm_l"] -= 1.9
            a["fore_l"] -= 2.6 + 0.6 * w * swing
        elif self.label == "clap":
            a["arm_r"] += 0.5
            a["arm_l"] -= 0.5
            a["fore_r"] += -0.9 + 0.7 * w * (swing - 0.5)
            a["fore_l"] -= -0.9 + 0.7 * w * (swing - 0.5)
        elif self.label == "walk":
            for side, sign in (("r", 1), ("l", -1)):
                a[f"thigh_{side}"] += sign * 0.5 * w * swing
                a[f"shin_{side}"] += sign * 0.5 * w * swing - 0.4 * w * np.maximum(0, sign * np.cos(angle))
                a[f"arm_{side}"] -= sign * 0.4 * w * swing
                a[f"fore_{side}"] -= sign * 0.4 * w * swing - 0.2
        elif self.label == "squat":
            bend = 0.9 * w * lift
            for side, sign in (("r", 1), ("l", -1)):
                a[f"thigh_{side}"] += sign * bend
                a[f"shin_{side}"] -= sign * 0.4 * bend
            drop = self.leg[0] * (1 - np.cos(bend)) + self.leg[1] * (1 - np.cos(0.4 * bend))
        elif self.label == "bow":
            a["trunk"] += 0.9 * w * lift
        elif self.label == "jump":
            drop = -0.45 * w * np.maximum(0, swing)
            a["arm_r"] += 0.5 * w * np.maximum(0, swing)
            a["arm_l"] -= 0.5 * w * np.maximum(0, swing)
        return self.measure(self.pose(a, drop))

    def pose(self, a, drop):
        """Joint positions [count, 2, 13] from the angles; the hip sinks by `drop`."""
        joints = np.zeros((len(drop), 2, len(JOINTS)))
        at = JOINTS.index

        def limb(name, length, angle, start):
            joints[:, :, at(name)] = joints[:, :, at(start)] + length * np.stack([np.sin(angle), -np.cos(angle)], 1)

        joints[:, 1, CENTRE] = -drop
        up = np.pi - a["trunk"]
        limb("neck", self.trunk, up, "hip")
        limb("head", self.head, up, "neck")
        for side, sign in (("r", 1), ("l", -1)):
            limb(f"shoulder_{side}", self.shoulder, up - sign * np.pi / 2, "neck")
            limb(f"elbow_{side}", self.arm[0], a[f"arm_{side}"], f"shoulder_{side}")
            limb(f"hand_{side}", self.arm[1], a[f"fore_{side}"], f"elbow_{side}")
            limb(f"knee_{side}", self.leg[0], a[f"thigh_{side}"] + sign * 0.1, "hip")
            limb(f"foot_{side}", self.leg[1], a[f"shin_{side}"], f"knee_{side}")
        return joints

    def measure(self, joints):
        turn = np.array([[np.cos(self.lean), -np.sin(self.lean)], [np.sin(self.lean), np.cos(self.lean)]])
        joints = joints * np.array([self.squeeze, 1])[:, None]
        seen = self.size * np.einsum("ab,tbv->tav", turn, joints) + self.place[:, None]
        return (seen + self.noise * self.rng.normal(size=seen.shape)).astype(np.float32)


def clips(count, frames, seed):
    """float32 [count, 2, frames, 13] and classes, every class equally often."""
    rng = np.random.default_rng(seed)
    targets = np.arange(count) % len(LABELS)
    out = []
    for target in targets:
        figure = Figure(rng)
        figure.act(target)
        out.append(figure.frames(frames).transpose(1, 0, 2))
    return np.stack(out), targets


def main():
    rng = np.random.default_rng(21)
    figure, frames, events = Figure(rng), [], []
    for target in [0, 1, 5, 4, 7]:
        figure.act(target)
        events.append({"frame": sum(map(len, frames)), "label": LABELS[target]})
        frames.append(figure.frames(60))
    (HERE / "samples").mkdir(exist_ok=True)
    np.save(HERE / "samples/stream.npy", np.concatenate(frames))
    (HERE / "samples/stream.json").write_text(json.dumps(events, indent=1) + "\n")


if __name__ == "__main__":
    main()
