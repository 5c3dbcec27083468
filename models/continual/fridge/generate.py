"""Temperatures of a refrigerator as a TMP105 gives them, one reading every half minute, with or without trouble.

    python models/continual/fridge/generate.py     # writes samples/scenarios.json; needs onnxruntime and fridge.onnx

A box of air warms towards the room and is cooled while the compressor runs; a thermostat switches it with
hysteresis. Each fridge has its own thermostat, insulation and compressor, and the room's temperature wanders.
The sensor follows the air with a lag, is a little noisy, and rounds down to 1/16 degree.

Trouble, from reading `start` on:
    step    the sensor reads `size` degrees more or less (moved, or the door stays open)
    spike   one reading that is `size` degrees off
    drift   the reading creeps away by `size` degrees each time
    stuck   the reading stays what it is
    dead    the compressor does not start any more
All but the last end after `length` readings; then all is as if nothing had been.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
RESOLUTION = 1 / 16
# From the start of the simulation until the cycles are regular.
SETTLE = 80


@dataclass
class Trouble:
    kind: str
    start: int
    size: float = 0.0
    length: int = 1


def fridges(rng, count, readings, trouble=None):
    """Readings [count, readings] of as many different fridges, float64, rounded as the sensor rounds."""
    low = rng.uniform(2.8, 3.6, count)
    high = low + rng.uniform(1.4, 2.2, count)
    leak = 1 / rng.uniform(80, 140, count)
    cooling = rng.uniform(0.35, 0.55, count)
    lag = rng.uniform(1.5, 3.0, count)
    noise = rng.uniform(0.01, 0.04, count)
    room = rng.uniform(19, 25, count)
    air, running = rng.uniform(low, high), rng.random(count) < 0.5
    sensor = air.copy()
    result = np.empty((count, readings))
    for t in range(-SETTLE, readings):
        room = np.clip(room + rng.normal(0, 0.05, count), 18, 26)
        running = np.where(air > high, True, np.where(air < low, False, running))
        if trouble and trouble.kind == "dead" and t >= trouble.start:
            running = np.zeros(count, bool)
        air = air + (room - air) * leak - cooling * running
        sensor = sensor + (air - sensor) / lag
        if t >= 0:
            result[:, t] = sensor + rng.normal(0, 1, count) * noise
    if trouble:
        disturb(result, trouble)
    return np.floor(result / RESOLUTION) * RESOLUTION


def disturb(readings, trouble):
    first, last = trouble.start, trouble.start + trouble.length
    if trouble.kind == "step":
        readings[:, first:last] += trouble.size
    elif trouble.kind == "spike":
        readings[:, first] += trouble.size
    elif trouble.kind == "drift":
        readings[:, first:last] += trouble.size * np.arange(1, trouble.length + 1)
    elif trouble.kind == "stuck":
        readings[:, first:last] = readings[:, first - 1:first]


# What the firmware's test plays to an emulated sensor: calm, trouble, calm again.
SCENARIOS = {
    "calm": None,
    "step": Trouble("step", 60, 3.0, 20),
    "spike": Trouble("spike", 60, -4.0),
    "drift": Trouble("drift", 60, 0.15, 24),
    "stuck": Trouble("stuck", 60, 0.0, 30),
    "dead": Trouble("dead", 60, 0.0, 60),
}


def main():
    import onnxruntime

    network = onnxruntime.InferenceSession(str(HERE / "fridge.onnx"), providers=["CPUExecutionProvider"])
    window = network.get_inputs()[0].shape[2]
    scenarios = []
    for number, (name, trouble) in enumerate(SCENARIOS.items()):
        readings = fridges(np.random.default_rng(700 + number), 1, 180, trouble)[0]
        begin = trouble.start if trouble else None
        end = None if not trouble or trouble.kind == "dead" else begin + trouble.length
        windows = np.lib.stride_tricks.sliding_window_view(readings.astype(np.float32), window)
        scores = [network.run(None, {"frames": w.reshape(1, 1, -1)})[0].ravel() for w in windows]
        scenarios.append({"name": name, "begin": begin, "end": end,
                          # Upwards: the emulated sensor rounds down.
                          "millidegrees": [int(np.ceil(x * 1000)) for x in readings],
                          # Of every window of readings, by ONNX Runtime.
                          "scores": [[round(float(x), 5) for x in pair] for pair in scores]})
    folder = HERE / "samples"
    folder.mkdir(exist_ok=True)
    text = ",\n".join(json.dumps(scenario) for scenario in scenarios)
    (folder / "scenarios.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main()
