"""Golden values of resizing and of conversion between quantizations, computed by LiteRT's reference kernels.

    python tests/golden/litert_moves.py > tests/golden/litert_moves.txt

The format is that of `litert_ops.py`, which has the tools.
"""
import numpy as np
from ai_edge_litert import schema_py_generated as schema

import litert_ops
from litert_ops import RNG, codes, evaluate, line, scale, zero

b, o = schema.BuiltinOperator, schema.BuiltinOptions
litert_ops.TYPES[np.dtype(np.float32)] = schema.TensorType.FLOAT32
SIZES = [(4, 5, 8, 10), (7, 7, 14, 14), (5, 3, 3, 7), (6, 9, 1, 1), (1, 1, 3, 4), (3, 8, 7, 5), (10, 6, 15, 4)]


def resizing():
    for name, code in [("bilinear", b.RESIZE_BILINEAR), ("nearest", b.RESIZE_NEAREST_NEIGHBOR)]:
        for h, w, oh, ow in SIZES:
            for align, half in [(0, 0), (1, 0), (0, 1)]:
                if code == b.RESIZE_BILINEAR:
                    options, kind = schema.ResizeBilinearOptionsT(), o.ResizeBilinearOptions
                else:
                    options, kind = schema.ResizeNearestNeighborOptionsT(), o.ResizeNearestNeighborOptions
                options.alignCorners, options.halfPixelCenters = bool(align), bool(half)
                x, c = codes((1, h, w, 2)), 2
                size = np.array([oh, ow], np.int32)
                inputs = [(x, 0.1, 3), (size, None, 0)]
                y = evaluate(code, inputs, ((1, oh, ow, c), 0.1, 3), options, kind, {1})
                line(name, dict(h=h, w=w, oh=oh, ow=ow, align=align, half=half), {}, {"x": x, "y": y})


def quantizations():
    for _ in range(4):
        s, z = scale(0.01, 0.2), zero()
        # Halves among them.
        x = np.concatenate([RNG.normal(0, 60 * s, 200), np.arange(-40, 40) * s / 2]).astype(np.float32)
        y = evaluate(b.QUANTIZE, [(x, None, 0)], (x.shape, s, z))
        line("quantize", {"z": z}, {"s": s}, {"x": x.view(np.int8), "y": y})
    for k in range(6):
        s, so = scale(0.01, 0.2), scale(0.01, 0.2)
        so = s if k == 0 else so
        x, z, zo = np.arange(-128, 128).astype(np.int8), zero(), zero()
        y = evaluate(b.QUANTIZE, [(x, s, z)], (x.shape, so, zo))
        line("requantize", {"z": z, "zo": zo}, {"s": s, "so": so}, {"x": x, "y": y})


if __name__ == "__main__":
    resizing()
    quantizations()
