"""The audio front ends of the continual networks, as numpy in float64.

This file is the definition: the recipes train on these features, and the golden values of the
crate `mote-audio` (runtime/audio) come from it. Samples are fractions of full scale (int16 / 32768).

    pre-emphasis over the whole stream, y[i] = x[i] - c * x[i - 1], x[-1] = 0
    -> frames of `window` samples every `hop`, times the window function, zeros up to `fft`
    -> |FFT|^2 / `window`, at least `power_floor`
    -> mel filters (triangles in mel, HTK's scale mel(f) = 1127 ln(1 + f / 700))
    -> log, at least `mel_floor` -> (log + `offset`) * `scale`, clipped to [0, 1]
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class FrontEnd:
    rate: int
    preemphasis: float
    window: int
    window_kind: str  # "hamming": symmetric, "hann": periodic
    hop: int
    fft: int
    mels: int
    low: float  # Hz, lower edge of the first filter
    high: float  # Hz, upper edge of the last one
    power_floor: float
    mel_floor: float
    decibel: bool  # 10 log10 instead of ln
    offset: float
    scale: float

    def frames(self, samples):
        """How many frames `samples` samples give."""
        return max(0, (samples - self.window) // self.hop + 1)

    def samples(self, frames):
        """How many samples `frames` frames need."""
        return (frames - 1) * self.hop + self.window

    def features(self, x):
        """[..., samples] -> [..., frames, mels]."""
        x = np.asarray(x, np.float64)
        before = np.concatenate([np.zeros_like(x[..., :1]), x[..., :-1]], -1)
        y = x - self.preemphasis * before
        at = np.arange(self.frames(x.shape[-1]))[:, None] * self.hop + np.arange(self.window)
        spectrum = np.fft.rfft(y[..., at] * self.window_function(), self.fft)
        power = np.maximum(np.abs(spectrum) ** 2 / self.window, self.power_floor)
        energy = np.maximum(power @ self.mel_filters(), self.mel_floor)
        log = 10 * np.log10(energy) if self.decibel else np.log(energy)
        return np.clip((log + self.offset) * self.scale, 0, 1)

    def window_function(self):
        if self.window_kind == "hamming":
            return np.hamming(self.window)
        return np.hanning(self.window + 1)[:-1]

    def mel_filters(self):
        """[fft / 2 + 1, mels]; the constant component belongs to no filter."""
        def mel(hertz):
            return 1127 * np.log1p(np.asarray(hertz) / 700)
        edges = np.linspace(mel(self.low), mel(self.high), self.mels + 2)
        left, middle, right = edges[:-2], edges[1:-1], edges[2:]
        bins = mel(np.linspace(0, self.rate / 2, self.fft // 2 + 1))[1:, None]
        rising, falling = (bins - left) / (middle - left), (right - bins) / (right - middle)
        return np.pad(np.maximum(0, np.minimum(rising, falling)), [(1, 0), (0, 0)])


# The streaming wakeword network of MLPerf Tiny v1.3.
WAKEWORD = FrontEnd(
    rate=16000, preemphasis=1 - 2**-5, window=1024, window_kind="hamming", hop=512, fft=1024,
    mels=40, low=0.0, high=8000.0, power_floor=1e-30, mel_floor=1e-30, decibel=True, offset=52.0,
    scale=1 / 64,
)

# The spoken digits of this folder: 8 kHz, 30 ms every 16 ms.
DIGITS = FrontEnd(
    rate=8000, preemphasis=0.0, window=240, window_kind="hann", hop=128, fft=256, mels=32,
    low=60.0, high=3800.0, power_floor=0.0, mel_floor=1e-8, decibel=False, offset=16.0,
    scale=1 / 16,
)
