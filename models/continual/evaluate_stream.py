"""How the convolutional digit network does on a stream: test words one after another, with pauses.

    python models/continual/evaluate_stream.py --data ../shared/data/fsdd/fsdd-wav.tar.xz

Every window of the stream is classified (what a step-wise plan gives frame by frame). A digit is detected
when its probability stays above `--threshold` for `--hold` frames; it can be detected again after as many
frames of something else. A detection counts for the word whose end lies nearest, within half a second.
"""

import argparse
from pathlib import Path

import numpy as np

import common
import fsdd

HERE = Path(__file__).resolve().parent


def main():
    args = parse_args()
    rng = np.random.default_rng(9)
    _, words = fsdd.split(fsdd.load(args.data))
    sound, ends, length = [], [], 0
    for number in rng.permutation(len(words)):
        digit, _, _, samples = words[number]
        pause = np.zeros(rng.integers(*(int(seconds * 8000) for seconds in args.pause)), np.float32)
        for part in (pause, samples):
            sound.append(part)
            length += len(part)
        ends.append((length / 8000, digit))
    sound = np.concatenate([*sound, np.zeros(8000, np.float32)])
    sound = sound + 10**-4.0 * rng.normal(size=len(sound)).astype(np.float32)
    frames = fsdd.features(sound).T[None]

    network = common.session(HERE / "digits_conv/digits_conv.onnx")
    logits = np.concatenate([network.run(None, {"frames": np.ascontiguousarray(frames[:, :, s:s + fsdd.WINDOW])})[0]
                             for s in range(frames.shape[2] - fsdd.WINDOW + 1)])
    found = detections(logits, args.threshold, args.hold)
    right, missed, spurious, delays = judge(found, ends)
    print(f"{len(ends)} words in {len(sound) / 8000:.0f} s: {right} detected, {missed} missed or mistaken, "
          f"{spurious} false detections; the median word is detected {np.median(delays):.2f} s after its end")


def detections(logits, threshold, hold):
    """(seconds, digit) of every detection; a window's time is that of its last sample."""
    odds = np.exp(logits - logits.max(1, keepdims=True))
    probability = odds / odds.sum(1, keepdims=True)
    found, last, run, absent = [], None, 0, 0
    previous = None
    for window, p in enumerate(probability):
        digit = int(p.argmax()) if p.max() >= threshold and p.argmax() != fsdd.BACKGROUND else None
        run = run + 1 if digit is not None and digit == previous else 1
        previous = digit
        absent = absent + 1 if digit != last else 0
        if absent >= hold:
            last = None
        if digit is not None and run >= hold and digit != last:
            found.append((fsdd.DIGITS.samples(window + fsdd.WINDOW) / 8000, digit))
            last, absent = digit, 0
    return found


def judge(found, ends):
    times = np.array([end for end, _ in ends])
    taken, delays, spurious = set(), [], 0
    for second, digit in found:
        for word in np.argsort(np.abs(times - second))[:2]:
            if word not in taken and ends[word][1] == digit and -0.5 <= second - times[word] <= 1.0:
                taken.add(word)
                delays.append(second - times[word])
                break
        else:
            spurious += 1
    return len(taken), len(ends) - len(taken), spurious, delays


def parse_args():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="fsdd-wav.tar.xz")
    parser.add_argument("--pause", type=float, nargs=2, default=(0.4, 1.0), metavar="SECONDS", help="least and most")
    parser.add_argument("--threshold", type=float, default=0.6)
    parser.add_argument("--hold", type=int, default=6)
    return parser.parse_args()


if __name__ == "__main__":
    main()
