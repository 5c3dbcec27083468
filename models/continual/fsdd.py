"""Free Spoken Digit Dataset: reading, splits, windows for training and testing, and the training itself.

A window is one second with one word in it. Training places the word anywhere, changes its speed and
level, adds noise and sometimes the edge of a neighbour; a part of the windows holds no word and is
class 10, `background`. Testing places the word in the middle and changes nothing.
"""

import io
import tarfile
import wave
from pathlib import Path

import numpy as np
import torch

import common
from frontend import DIGITS

WINDOW = 64  # frames
SAMPLES = DIGITS.samples(WINDOW)
BACKGROUND = 10
LABELS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "background"]


def load(archive):
    """All recordings of the tar file by name: (digit, speaker, take, float32 samples)."""
    words = []
    with tarfile.open(archive) as tar:
        for member in sorted(tar.getmembers(), key=lambda m: m.name):
            if not member.name.endswith(".wav"):
                continue
            digit, speaker, take = member.name.rsplit("/", 1)[-1][:-4].split("_")
            with wave.open(io.BytesIO(tar.extractfile(member).read())) as sound:
                assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
                samples = np.frombuffer(sound.readframes(-1), "<i2").astype(np.float32) / 32768
            words.append((int(digit), speaker, int(take), samples))
    return words


def split(words, held_out=None):
    """The official split (takes 0 to 4 are the test), or one speaker held out as the test."""
    test = [w for w in words if (w[1] == held_out if held_out else w[2] < 5)]
    train = [w for w in words if (w[1] != held_out if held_out else w[2] >= 5)]
    return train, test


def test_set(words):
    """Features [N, WINDOW, mels] of the undisturbed words, and their classes."""
    windows = np.stack([place(samples, (SAMPLES - len(samples)) // 2) for _, _, _, samples in words])
    return features(windows), np.array([digit for digit, _, _, _ in words])


class Augmented:
    """Endless seeded training windows of `words`."""

    def __init__(self, words, seed, background=0.08):
        self.words, self.rng, self.background = words, np.random.default_rng(seed), background
        self.order = []

    def batch(self, size):
        """Features [size, WINDOW, mels] and classes [size]."""
        windows, targets = [], []
        for _ in range(size):
            if self.rng.random() < self.background:
                windows.append(self.without_word())
                targets.append(BACKGROUND)
            else:
                if not self.order:
                    self.order = list(self.rng.permutation(len(self.words)))
                digit, _, _, samples = self.words[self.order.pop()]
                windows.append(self.with_word(samples))
                targets.append(digit)
        return features(np.stack(windows)), np.array(targets)

    def with_word(self, samples):
        samples = speed(samples, self.rng.uniform(0.88, 1.12))
        free = SAMPLES - len(samples)
        start = self.rng.integers(0, free + 1) if free >= 0 else -self.rng.integers(0, -free + 1)
        window = place(samples, start)
        if self.rng.random() < 0.25:
            window += self.neighbour(max(start, 0), max(free - start, 0))
        return self.disturb(window)

    def without_word(self):
        window = np.zeros(SAMPLES, np.float32)
        if self.rng.random() < 0.5:
            window += self.neighbour(SAMPLES // 8, SAMPLES // 8)
        return self.disturb(window)

    def neighbour(self, before, after):
        """The end of another word at the start of the window, or its start at the end, in the free room."""
        _, _, _, other = self.words[self.rng.integers(len(self.words))]
        window = np.zeros(SAMPLES, np.float32)
        if self.rng.random() < 0.5:
            length = min(int(before * 0.8), len(other) // 3)
            window[:length] = other[len(other) - length:]
        else:
            length = min(int(after * 0.8), len(other) // 3)
            window[SAMPLES - length:] = other[:length]
        return window

    def disturb(self, window):
        """Level of the whole, and white noise mixed with slow noise below it."""
        peak = np.abs(window).max()
        if peak > 0:
            window = window * min(10 ** self.rng.uniform(-0.9, 0.9), 1 / peak)
        if self.rng.random() < 0.75:
            noise = self.rng.normal(size=SAMPLES)
            if self.rng.random() < 0.5:
                noise = np.convolve(noise, np.ones(8) / 8, "same")
            level = 10 ** self.rng.uniform(-5, -2.2)
            window = window + level * noise
        return window.astype(np.float32)


def arguments(doc, epochs, batch, lr, weight_decay, seed):
    """The command line of a digit recipe."""
    parser = common.arguments(doc, epochs, batch, lr, weight_decay, seed)
    parser.add_argument("--data", type=Path, required=True, help="fsdd-wav.tar.xz")
    parser.add_argument("--hold-out", metavar="SPEAKER", help="test on a speaker that training never hears")
    return parser.parse_args()


def fit(make, args, folder, answer=None):
    """Trains the network that `make` makes as `common.fit` does, on augmented words; gives the network, the test and
    the log in `folder`."""
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    train, test = split(load(args.data), args.hold_out)
    tested = tensors(*test_set(test))
    windows = Augmented(train, args.seed)
    network = make()
    steps = len(train) // args.batch
    name = f"hold_out_{args.hold_out}.log" if args.hold_out else "train.log"
    log = (folder / name).open("w", buffering=1)
    note = f"{len(train)} words for training, {len(test)} for testing"
    note += f", speaker {args.hold_out} held out" if args.hold_out else ""
    common.fit(network, args, steps, lambda _: (tensors(*windows.batch(args.batch)) for _ in range(steps)),
               tested, log, note, answer and (lambda batch: answer(network, batch)))
    return network, tested, log


def tensors(features, targets):
    """[N, T, mels] of the front end -> [N, mels, T] of Conv1d."""
    return torch.from_numpy(np.ascontiguousarray(features.transpose(0, 2, 1))), torch.from_numpy(targets)


def place(samples, start):
    """A window of silence with `samples` from position `start`; what sticks out is cut off."""
    window = np.zeros(SAMPLES, np.float32)
    first, last = max(start, 0), min(start + len(samples), SAMPLES)
    window[first:last] = samples[first - start:last - start]
    return window


def speed(samples, factor):
    """Linear resampling: pitch and length change together."""
    at = np.arange(0, len(samples) - 1, factor)
    return np.interp(at, np.arange(len(samples)), samples).astype(np.float32)


def features(windows):
    return DIGITS.features(windows).astype(np.float32)
