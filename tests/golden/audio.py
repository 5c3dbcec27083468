"""Golden values of the audio front ends: signals that a formula gives, features in float64.

    python tests/golden/audio.py --data ../shared/data      # writes audio.json, audio_wakeword.json; needs numpy

The front ends are those of models/continual/frontend.py. audio_wakeword.json holds the CRC-32s of the
frames that the wakeword network's reference run was given, for a recording in the data folder; a check on
the way: the features of this recording equal them in every byte.
"""

import argparse
import base64
import json
import sys
import wave
import zlib
from pathlib import Path

import numpy as np

import prng

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "models/continual"))

from frontend import DIGITS, WAKEWORD  # noqa: E402


def main():
    cases = []
    for name, front in (("wakeword", WAKEWORD), ("digits", DIGITS)):
        count = front.samples(5) + 17
        time = np.arange(count) / front.rate
        noise = prng.normal(91, count).astype(np.float64)
        signals = {
            "silence": np.zeros(count),
            "quiet noise": 40 * noise,
            "loud noise": 8000 * noise,
            "tone over noise": 20000 * np.sin(2 * np.pi * 440 * time) + 20 * noise,
            "rising tone": 12000 * np.sin(2 * np.pi * 0.2 * front.rate * time**2 / time[-1]),
            "clicks": 30000.0 * (np.arange(count) % 601 == 300),
            "clipped square wave": 40000 * np.sign(np.sin(2 * np.pi * 97 * time + 0.1)),
        }
        for signal, x in signals.items():
            samples = np.clip(np.rint(x), -32768, 32767).astype("<i2")
            features = front.features(samples / 32768).astype("<f4")
            cases.append({"front_end": name, "signal": signal, "samples": text(samples),
                          "frames": len(features), "features": text(features)})
    (Path(__file__).parent / "audio.json").write_text(json.dumps(cases, indent=1) + "\n")
    print(len(cases), "cases")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    wakeword(parser.parse_args().data)


def wakeword(data):
    with wave.open(str(data / "mlperf-tiny/sww_easy10s.wav")) as sound:
        samples = np.frombuffer(sound.readframes(-1), "<i2").reshape(-1, sound.getnchannels())[:, 0]
    frames = np.load(data / "golden/sww_int8_stream.npz")["frames"]
    features = WAKEWORD.features(samples / 32768)
    q = np.trunc(np.clip(features / 0.003701042616739869 - 128, -128, 127)).astype(np.int8)
    crcs = np.array([zlib.crc32(frame.tobytes()) for frame in frames], "<u4")
    entry = {"recording": "mlperf-tiny/sww_easy10s.wav", "channel": 0, "samples_crc32": zlib.crc32(samples.tobytes()),
             "input_scale": 0.003701042616739869, "input_zero_point": -128, "frames": len(frames),
             "crc32": text(crcs)}
    (Path(__file__).parent / "audio_wakeword.json").write_text(json.dumps(entry, indent=1) + "\n")
    print((q != frames).sum(), "of", q.size, "int8 values differ from the reference run's frames")


def text(array):
    return base64.b64encode(array.tobytes()).decode()


if __name__ == "__main__":
    main()
