"""ONNX files with few weights other than zero in their 1x1 convolutions, for `cargo xtask bench web`.

    python tests/web/prune.py PERCENT[xN] IN.onnx OUT.onnx

sets the smallest PERCENT of a hundred weights of each 1x1 convolution to zero, in floats or in int8 (zero points are 0), with xN
in blocks of N neighbouring input channels.
Needs onnx and numpy.
"""

import sys

import numpy as np
import onnx
from onnx import numpy_helper


def main(share, source, target):
    percent, _, inputs = share.partition("x")
    model = onnx.load(source)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    dequantized = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        tensor = stored[dequantized.get(node.input[1], node.input[1])]
        if list(tensor.dims[2:]) == [1, 1]:
            tensor.CopyFrom(numpy_helper.from_array(pruned(numpy_helper.to_array(tensor), float(percent), int(inputs or 1)), tensor.name))
    onnx.save(model, target)


def pruned(weights, percent, inputs):
    """Without the smallest blocks of weights; of equally small ones, which codes are, the first."""
    outputs, channels = weights.shape[:2]
    units = -(-channels // inputs)
    blocks = np.zeros([outputs, units * inputs], weights.dtype)
    blocks[:, :channels] = weights.reshape(outputs, channels)
    blocks = blocks.reshape(-1, inputs)
    sizes = np.square(blocks.astype(np.float32)).sum(1)
    blocks[np.argsort(sizes, kind="stable")[: int(len(sizes) * percent / 100)]] = 0
    return blocks.reshape(outputs, -1)[:, :channels].reshape(weights.shape)


if __name__ == "__main__":
    main(*sys.argv[1:])
