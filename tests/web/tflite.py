"""TFLite files of timm's networks, for LiteRT.js in `cargo xtask bench web`.

    python tests/web/tflite.py FOLDER NAME...

writes NAME.tflite (float32) and NAME_int8.tflite (int8 weights and activations, floats in and out, ranges from random
pictures) with random weights, at the size of pictures that tests/golden/vision has: what is compared is time. Where NAME
ends with _sparseP or _sparsePxN, the smallest P of a hundred weights of each 1x1 convolution are zero, with xN in blocks of
N neighbouring input channels, and NAME.tflite stores the others only, which is what XNNPACK takes as a hint. Needs timm,
litert-torch and ai-edge-quantizer.
"""

import json
import sys
from pathlib import Path

import flatbuffers
import litert_torch
import numpy as np
import timm
import torch
from ai_edge_litert import schema_py_generated as schema
from ai_edge_quantizer import qtyping, quantizer, recipe

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "vision"


def main(folder, *names):
    for name in names:
        family, _, share = name.partition("_sparse")
        percent, _, inputs = share.partition("x")
        shape = json.loads((GOLDEN / f"{family}.json").read_text())["input_shape"]
        torch.manual_seed(0)
        network = timm.create_model(family, pretrained=False).eval()
        if percent:
            prune(network, int(percent), int(inputs or 1))
        # Channels last, as the networks of TFLite have them.
        network = litert_torch.to_channel_last_io(network, args=[0])
        sample = torch.randn(shape).permute(0, 2, 3, 1).contiguous()
        path = Path(folder) / f"{name}.tflite"
        litert_torch.convert(network, (sample,)).export(str(path))
        quantize = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
        # LiteRT.js takes no int8 tensors: inputs and outputs stay floats.
        for end in (qtyping.TFLOperationName.INPUT, qtyping.TFLOperationName.OUTPUT):
            quantize.update_quantization_recipe(".*", end, algorithm_key="no_quantize")
        samples = [{"args_0": np.random.default_rng(i).normal(size=sample.shape).astype(np.float32)} for i in range(4)]
        ranges = quantize.calibrate({"serving_default": samples})
        quantize.quantize(ranges).export_model(str(path.with_name(f"{name}_int8.tflite")), overwrite=True)
        if percent:
            path.write_bytes(sparse(path.read_bytes()))


def prune(network, percent, inputs):
    """Takes away the smallest weights of 1x1 convolutions, of those whose input channels are a multiple of `inputs` in blocks."""
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size == (1, 1):
            blocks = layer.weight.data.view(-1, inputs if layer.in_channels % inputs == 0 else 1)
            blocks[blocks.square().sum(1).argsort()[: len(blocks) * percent // 100]] = 0


def sparse(model):
    """Stores the weights of 1x1 convolutions with many zeros in compressed rows, which an operator makes dense again."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(model))
    graph = model.subgraphs[0]
    densify = schema.OperatorCodeT()
    densify.builtinCode = densify.deprecatedBuiltinCode = schema.BuiltinOperator.DENSIFY
    densify.version = 1
    model.operatorCodes.append(densify)
    operators = []
    for operator in graph.operators:
        if model.operatorCodes[operator.opcodeIndex].builtinCode == schema.BuiltinOperator.CONV_2D:
            dense = graph.tensors[operator.inputs[1]]
            weights = np.frombuffer(bytes(model.buffers[dense.buffer].data), np.float32).reshape(dense.shape)
            if dense.shape[1] == dense.shape[2] == 1 and (weights == 0).mean() > 2 / 3:
                made = schema.OperatorT()
                made.opcodeIndex = len(model.operatorCodes) - 1
                made.builtinOptionsType = schema.BuiltinOptions.DensifyOptions
                made.builtinOptions = schema.DensifyOptionsT()
                made.inputs, made.outputs = [int(operator.inputs[1])], [len(graph.tensors)]
                operators.append(made)
                graph.tensors.append(without_data(dense))
                compress(dense, weights, model)
                operator.inputs = [operator.inputs[0], made.outputs[0], *operator.inputs[2:]]
        operators.append(operator)
    graph.operators = operators
    builder = flatbuffers.Builder(0)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def without_data(tensor):
    other = schema.TensorT()
    other.shape, other.type, other.name, other.buffer = tensor.shape, tensor.type, tensor.name + b"_dense", 0
    return other


def compress(tensor, weights, model):
    """Output channels of single rows and columns, whose input channels are listed."""
    rows = weights.reshape(len(weights), -1)
    segments, indices = schema.Int32VectorT(), schema.Int32VectorT()
    segments.values = np.concatenate([[0], (rows != 0).sum(axis=1).cumsum()]).astype(np.int32)
    indices.values = np.nonzero(rows)[1].astype(np.int32)
    axes = []
    for size in weights.shape:
        axis = schema.DimensionMetadataT()
        axis.format, axis.denseSize = schema.DimensionType.DENSE, size
        axes.append(axis)
    axes[3].format, axes[3].denseSize = schema.DimensionType.SPARSE_CSR, 0
    axes[3].arraySegmentsType = axes[3].arrayIndicesType = schema.SparseIndexVector.Int32Vector
    axes[3].arraySegments, axes[3].arrayIndices = segments, indices
    tensor.sparsity = schema.SparsityParametersT()
    tensor.sparsity.traversalOrder, tensor.sparsity.dimMetadata = np.arange(4, dtype=np.int32), axes
    model.buffers[tensor.buffer].data = None
    buffer = schema.BufferT()
    buffer.data = np.frombuffer(rows[rows != 0].tobytes(), np.uint8)
    tensor.buffer = len(model.buffers)
    model.buffers.append(buffer)


if __name__ == "__main__":
    main(*sys.argv[1:])
