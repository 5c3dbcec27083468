"""ONNX files with few weights other than zero in their 1x1 convolutions, for `cargo xtask bench web`.

    python tests/web/prune.py PERCENT IN.onnx OUT.onnx

sets the smallest PERCENT of a hundred weights of each 1x1 convolution to zero, in floats or in int8 (zero points are 0).
Needs onnx and numpy.
"""

import sys

import numpy as np
import onnx
from onnx import numpy_helper


def main(percent, source, target):
    model = onnx.load(source)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    dequantized = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        tensor = stored[dequantized.get(node.input[1], node.input[1])]
        if list(tensor.dims[2:]) == [1, 1]:
            tensor.CopyFrom(numpy_helper.from_array(pruned(numpy_helper.to_array(tensor), float(percent)), tensor.name))
    onnx.save(model, target)


def pruned(weights, percent):
    """Without the smallest weights; of equally small ones, which codes are, the first."""
    zeros = int(weights.size * percent / 100)
    kept = weights.flatten()
    kept[np.argsort(np.abs(kept.astype(np.float32)), kind="stable")[:zeros]] = 0
    return kept.reshape(weights.shape)


if __name__ == "__main__":
    main(*sys.argv[1:])
