"""The random numbers behind every golden file.

A counter-based splitmix64: value i depends on (seed, i) alone, so numpy can
vectorise it and a test can produce any single element. Every derived number
is bit-reproducible: integer steps, exact conversions and single IEEE f32
operations (round to nearest even, no fused multiply-add).

README.md holds the same definitions with test vectors; run this file to
check them.
"""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
# Sum of four u16: mean 131070, variance (2^32 - 1) / 3.
# This is f32(1 / sqrt((2^32 - 1) / 3)), bits 0x37DDB3D7.
NORMAL_SCALE = np.uint32(0x37DDB3D7).view(np.float32)


def word(seed, count, start=0):
    """u64 values number start .. start + count - 1."""
    i = np.arange(start + 1, start + count + 1, dtype=np.uint64)
    z = np.uint64(seed) + i * GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def int8(seed, count, start=0):
    """Uniform over -128..127: the top byte."""
    return (word(seed, count, start) >> np.uint64(56)).astype(np.uint8).view(np.int8)


def uniform(seed, count, start=0):
    """Uniform f32 in [0, 1): the top 24 bits / 2^24, exact."""
    top = (word(seed, count, start) >> np.uint64(40)).astype(np.float32)
    return top * np.float32(2.0**-24)


def normal(seed, count, start=0):
    """Nearly normal f32, mean 0, variance 1, within +-3.465."""
    z = word(seed, count, start)
    lane = np.uint64(0xFFFF)
    s = sum(((z >> np.uint64(k)) & lane).astype(np.int64) for k in (0, 16, 32, 48))
    return (s - 131070).astype(np.float32) * NORMAL_SCALE


def scaled(seed, count, mean, std, start=0):
    """f32(mean + f32(std * normal)): two roundings."""
    return np.float32(mean) + np.float32(std) * normal(seed, count, start)


def _check():
    exact = 1.0 / np.sqrt((2.0**32 - 1) / 3)
    assert np.float32(exact) == NORMAL_SCALE, hex(np.float32(exact).view(np.uint32))
    assert word(1234567, 5).tolist() == [
        6457827717110365317, 3203168211198807973, 9817491932198370423,
        4593380528125082431, 16408922859458223821,
    ]  # the published splitmix64 sequence
    assert word(7, 3, start=2).tolist() == word(7, 5).tolist()[2:]
    n = normal(42, 1 << 20).astype(np.float64)
    assert abs(n.mean()) < 3e-3 and abs(n.std() - 1) < 3e-3, (n.mean(), n.std())
    print("| i | word | int8 | uniform (bits) | normal (bits) |")
    for i in range(6):
        u, n = uniform(42, 1, i)[0], normal(42, 1, i)[0]
        print(f"| {i} | 0x{word(42, 1, i)[0]:016X} | {int8(42, 1, i)[0]} "
              f"| {u!s} (0x{u.view(np.uint32):08X}) | {n!s} (0x{n.view(np.uint32):08X}) |")
    s = scaled(42, 6, 0.5, 0.1)
    print("scaled(42, mean 0.5, std 0.1):", " ".join(f"{v!s} (0x{v.view(np.uint32):08X})" for v in s))


if __name__ == "__main__":
    _check()
