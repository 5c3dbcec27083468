"""Gradual magnitude pruning of 1x1 convolutions (Zhu and Gupta, arXiv 1710.01878), of single weights or of blocks."""

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn


def pointwise(network):
    """Names and weights of the 1x1 convolutions, the layers that become sparse."""
    return {f"{name}.weight": layer.weight for name, layer in network.named_modules()
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1)}


class Pruner:
    """Sets the smallest weights of each layer to zero while it is trained: call it behind every step.

    The share of zeros of all layers together rises from `initial` to `final` as s(t) = s_f + (s_i - s_f)(1 - t / n)^3
    over the first `rise` steps and stays from then on; `shares` allots it to the layers. With `block` 4 the weights of
    four consecutive output channels for one input channel stay or go together, by the sum of their magnitudes.
    """

    EVERY = 25

    def __init__(self, network, initial, final, rise, block):
        self.weights = pointwise(network)
        self.initial, self.final, self.rise, self.block = initial, final, rise, block
        self.masks = {}

    def sparsity(self, step):
        return self.final + (self.initial - self.final) * (1.0 - min(step / self.rise, 1.0)) ** 3

    @torch.no_grad()
    def __call__(self, step):
        # A resumed run finds its masks in the zeros.
        if not self.masks:
            self.masks = {name: (weight != 0).float() for name, weight in self.weights.items()}
        if step <= self.rise and (step % self.EVERY == 0 or step == self.rise):
            for (name, weight), zeros in zip(self.weights.items(), shares(self.weights.values(), self.sparsity(step))):
                self.masks[name] = mask(weight, zeros, self.block)
        for name, weight in self.weights.items():
            weight.mul_(self.masks[name])


def shares(weights, sparsity):
    """Zeros' share of each layer, such that `sparsity` of all weights are zero.

    A layer keeps weights in proportion to its inputs + outputs (the Erdos-Renyi allotment of sparse evolutionary
    training, Mocanu et al., 2018, and of RigL, Evci et al., 2020), all of them at most: small layers, which have none
    to spare, keep more than large ones.
    """
    sizes = [weight.numel() for weight in weights]
    wanted = [sum(weight.shape[:2]) for weight in weights]
    kept, whole = [0.0] * len(sizes), set()
    while True:
        rest = (1.0 - sparsity) * sum(sizes) - sum(sizes[i] for i in whole)
        scale = rest / sum(n for i, n in enumerate(wanted) if i not in whole)
        kept = [size if i in whole else scale * n for i, (size, n) in enumerate(zip(sizes, wanted))]
        over = {i for i, size in enumerate(sizes) if kept[i] > size}
        if not over:
            return [1.0 - k / size for k, size in zip(kept, sizes)]
        whole |= over


def mask(weight, sparsity, block):
    """Ones for the weights that stay: exactly round(sparsity x blocks) blocks go."""
    outputs, inputs = weight.shape[:2]
    size = weight.view(outputs // block, block, inputs).abs().sum(1)
    gone = round(sparsity * size.numel())
    kept = torch.ones(size.numel())
    kept[size.flatten().argsort()[:gone]] = 0.0
    kept = kept.view(outputs // block, 1, inputs).expand(-1, block, -1)
    return kept.reshape(weight.shape).contiguous(memory_format=torch.channels_last)


def share_of_zeros(network):
    weights = pointwise(network).values()
    return sum((w == 0).sum().item() for w in weights) / sum(w.numel() for w in weights)


def halve(path):
    """Stores the sparse weights as float16, behind a cast: the file has half the size, and zeros stay zeros."""
    model = onnx.load(str(path))
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.ndim == 4 and values.shape[2:] == (1, 1) and (values == 0).mean() > 0.5:
            name = tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + ".f16"))
            casts.append(helper.make_node("Cast", [name + ".f16"], [name], name + ".cast", to=onnx.TensorProto.FLOAT))
    nodes = casts + list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
