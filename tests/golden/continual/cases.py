"""The networks of vectors.py."""

from dataclasses import dataclass
from typing import Callable, Optional

import onnx
from onnx import helper
from torch import nn

import networks_small as net


@dataclass
class Case:
    name: str
    module: nn.Module
    shape: list  # of one window, batch 1
    axis: int  # of time
    frames: int  # of the stream
    note: str
    compare: str = "windows"  # or "whole": slices of one pass over the whole stream
    hop: int = 1
    gain: float = 1.0
    output_axis: int = 2
    first: int = 0  # "whole": frame of the first result
    every: int = 1
    end_padding: int = 0  # results at the end of the pass that need frames behind the stream's end
    pad_nodes: bool = False  # padding as Pad nodes instead of attributes of the convolutions
    positions: int = 0  # rows of a recycling table
    rule: int = 0  # refusals
    operator: str = ""
    change: Optional[Callable] = None


def vectors():
    yield from convolutions()
    yield from pools()
    yield from paths()
    yield from recurrent()
    yield from attention()
    yield from blocks()


def convolutions():
    def conv1d(k, s=1, d=1, g=1, start=0, end=0):
        name = f"conv1d_k{k}_s{s}_d{d}_g{g}" + (f"_p{start}_{end}" if start or end else "")
        extent = (k - 1) * d + 1
        module = net.Padded(nn.Conv1d(6, 6, k, s, dilation=d, groups=g), start, end)
        tail = len([j for j in range(60) if j * s - start + extent > 30 and j * s - start + extent <= 30 + end])
        note = "padding only at the stream's ends" if start or end else "valid"
        return Case(name, module, [1, 6, extent + 2 * s], 2, 30, note, "whole", first=extent - 1 - start, every=s,
                    end_padding=tail)

    yield from (conv1d(1), conv1d(2), conv1d(3), conv1d(4, g=2), conv1d(5, g=6), conv1d(3, d=2), conv1d(5, d=3, g=3))
    yield from (conv1d(3, 2), conv1d(5, 3), conv1d(2, 3), conv1d(4, 2, 2))
    yield from (conv1d(3, start=2), conv1d(5, start=4, g=6), conv1d(3, start=1, end=1), conv1d(4, 2, start=3),
                conv1d(3, d=2, start=4))
    yield Case("conv1d_chain_padded", net.Chain(), [1, 4, 9], 2, 30, "three causal layers: zero padding of each layer's "
               "own input, so warm-up values of the first may never reach the second", "whole",
               pad_nodes=True)
    yield Case("conv2d_time_first", nn.Conv2d(3, 5, (4, 3), (1, 2), (0, 1), (2, 1)), [1, 3, 9, 8], 2, 30,
               "time along H, padded and strided over W only", "whole", first=6)
    yield Case("conv2d_time_last", nn.Conv2d(4, 4, (3, 5), (2, 1), (1, 0), groups=4), [1, 4, 7, 7], 3, 30,
               "time along W", "whole", first=4, output_axis=3)
    yield Case("conv3d_full", nn.Conv3d(2, 4, 3, (1, 2, 2), (0, 1, 1)), [1, 2, 5, 6, 6], 2, 20, "valid over time",
               "whole", first=2)
    yield Case("conv3d_depthwise", nn.Conv3d(4, 4, (5, 3, 3), 1, (0, 1, 1), groups=4), [1, 4, 7, 5, 5], 2, 20,
               "kT 5", "whole", first=4)
    yield Case("conv3d_strided", nn.Conv3d(2, 3, (3, 2, 2), (2, 2, 2)), [1, 2, 7, 4, 4], 2, 21, "temporal stride 2",
               "whole", first=2, every=2)


def pools():
    yield Case("maxpool_k3", nn.MaxPool1d(3, 1), [1, 5, 6], 2, 30, "negative values too", "whole", first=2)
    yield Case("maxpool_k4_s2", nn.MaxPool1d(4, 2), [1, 5, 8], 2, 30, "", "whole", first=3, every=2)
    yield Case("maxpool_k3_d2", nn.MaxPool1d(3, 1, dilation=2), [1, 5, 7], 2, 30, "dilated", "whole", first=4)
    yield Case("avgpool_k3", nn.AvgPool1d(3, 1), [1, 5, 6], 2, 30, "", "whole", first=2)
    yield Case("avgpool_k4_s3", nn.AvgPool1d(4, 3), [1, 5, 10], 2, 31, "", "whole", first=3, every=3)
    yield Case("avgpool_3d", nn.AvgPool3d((3, 2, 2), (1, 2, 2)), [1, 3, 5, 4, 4], 2, 20, "over time and space",
               "whole", first=2)
    conv = lambda: nn.Conv1d(4, 6, 3)  # noqa: E731
    yield Case("global_mean", net.Head(conv(), "mean"), [1, 4, 12], 2, 40, "ring of 10 features")
    yield Case("global_max", net.Head(conv(), "max"), [1, 4, 12], 2, 40, "ring of 10 features")
    yield Case("flatten", net.Head(conv(), "flatten", 10), [1, 4, 12], 2, 40, "ring of 10 features, then a matrix")
    strided = nn.Conv1d(4, 6, 3, 2)
    yield Case("global_mean_stride_hop2", net.Head(strided, "mean"), [1, 4, 13], 2, 40,
               "temporal stride 2: exact for hops that are multiples of 2", hop=2)
    yield Case("global_mean_stride_hop4", net.Head(nn.Conv1d(4, 6, 3, 2), "mean"), [1, 4, 13], 2, 40,
               "hop 4 at stride 2: every other result of the head is wanted", hop=4)


def paths():
    for kind, crop in (("centered", 2), ("lagging", 0), ("leading", 4)):
        yield Case(f"residual_{kind}", net.Residual(crop), [1, 6, 12], 2, 30,
                   f"the skip path gives frame {crop} of the five that the convolution sees", "whole", first=4)
    yield Case("residual_padded", net.PaddedResidual(), [1, 6, 12], 2, 30, "causal padding: skip without delay", "whole")
    yield Case("residual_nested", net.Nested(), [1, 6, 20], 2, 30, "a block inside a skipped block", "whole", first=8)
    yield Case("inception", net.Inception(), [1, 6, 10], 2, 30, "branches of extents 1, 3, 5 and a pool of 3, "
               "concatenated; shorter ones are cropped evenly", "whole", first=4)
    yield Case("inception_strided", net.StridedInception(), [1, 6, 11], 2, 30, "branches of stride 2", "whole", first=4,
               every=2)
    yield Case("stride_before_residual", net.StridedResidual(), [1, 6, 21], 2, 40, "stride 2, then a residual block in "
               "the slower clock", "whole", first=6, every=2)
    yield Case("two_strides", net.TwoStrides(), [1, 4, 23], 2, 60, "strides 2 and 3, then a mean over 3", hop=6)


def recurrent():
    note = "time first; state carried from the stream's start, initial state not zero"
    yield Case("gru", net.Recurrent(nn.GRU(5, 6)), [6, 1, 5], 0, 40, note, "whole", output_axis=0)
    yield Case("lstm", net.Recurrent(nn.LSTM(5, 6)), [6, 1, 5], 0, 40, note, "whole", output_axis=0)
    yield Case("conv_gru", net.ConvGru(), [1, 4, 8], 2, 40, "a causal convolution before the state", "whole",
               output_axis=0, pad_nodes=True)


def attention():
    n = 8
    yield Case("attention_last", net.Attention(n), [1, n, 12], 1, 3 * n + 5, "the newest token asks; 3 heads")
    yield Case("attention_last_large", net.Attention(n), [1, n, 12], 1, 3 * n + 5, "large logits: the softmax needs its "
               "maximum subtracted", gain=30.0)
    yield Case("attention_middle", net.Attention(n, query=3), [1, n, 12], 1, 3 * n, "token 3 of 8 asks: a query delay")
    yield Case("attention_all", net.AllAttention(n), [1, n, 12], 1, 3 * n, "every token of the window asks; the results "
               "of old tokens change with each frame")
    yield Case("attention_all_large", net.AllAttention(n), [1, n, 12], 1, 3 * n, "the same with large logits", gain=30.0)
    yield Case("encoder_one", net.Encoder(n, 1), [1, n, 12], 1, 3 * n + 5, "one layer, newest token")
    yield Case("encoder_two", net.Encoder(n, 2), [1, n, 12], 1, 3 * n + 5, "all tokens in the first layer, the newest "
               "in the second")
    yield Case("encoder_recycling", net.Recycling(n), [1, n, 12], 1, 5 * n, "token of frame t has row t mod 15 of the "
               "table; window k starts at row k mod 15", positions=2 * n - 1)


def blocks():
    yield Case("cost_gcn_block", net.GraphBlock(), [1, 4, 14, 7], 2, 30, "two adjacency matrices, 1x1, kT 9, skip "
               "cropped evenly", "whole", first=8)
    yield Case("cox3d_block", net.X3dBlock(), [1, 6, 7, 5, 5], 2, 20, "pointwise, depthwise 3x3x3, squeeze-excite per "
               "frame, swish, pointwise, skip cropped evenly", "whole", first=2)


def refusals():
    conv = lambda **more: nn.Conv1d(4, 6, 3, **more)  # noqa: E731
    window = [1, 4, 12]
    base = {"axis": 2, "frames": 0}
    yield Case("refuse_padded_window", net.Head(conv(padding=1), "mean"), window, note="zeros stand at both ends of "
               "every window, where a stream has frames", rule=1, operator="Conv", **base)
    yield Case("refuse_padded_pool", net.Head(nn.Sequential(conv(), nn.MaxPool1d(3, 1, 1)), "mean"), window,
               note="a pool padded inside the window", rule=1, operator="MaxPool", **base)
    yield Case("refuse_crop_by_permutation", net.Shuffled(), window, note="the skip path takes frames in another order: "
               "no constant offset", rule=2, operator="Gather", **base)
    yield Case("refuse_hop_against_stride", net.Head(nn.Conv1d(4, 6, 3, 2), "mean"), [1, 4, 13], hop=3, note="hop 3 at "
               "temporal stride 2: windows fall between the steps", rule=3, operator="Conv", **base)
    yield Case("refuse_cumulative_sum", net.Cumulative(), window, note="a running sum from the window's start, whose "
               "every value changes when the window moves: no ring of features holds it", rule=4, operator="CumSum", **base)
    yield Case("refuse_absolute_positions", net.Absolute(8), [1, 8, 12], axis=1, frames=0, note="positions count from "
               "the window's start, so a stored key would have to change with every frame", rule=5, operator="Add")
    yield Case("refuse_clip_squeeze_excite", net.ClipGate(), window, note="a gate from the mean over the window scales "
               "every frame of it", rule=6, operator="ReduceMean", **base)
    yield Case("refuse_clip_norm", net.ClipNorm(), window, note="mean and deviation of the window itself", rule=6,
               operator="InstanceNormalization", **base)
    yield Case("refuse_bidirectional", net.Recurrent(nn.GRU(5, 6, bidirectional=True), 2), [6, 1, 5], axis=0, frames=0,
               note="the way back starts at a frame that is not there yet", rule=6, operator="GRU")
    yield Case("refuse_reversal", net.Head(conv(), "flatten", 10), window, note="the window runs backwards", rule=6,
               operator="Slice", change=reverse, **base)
    yield Case("refuse_restarted_state", net.LastState(), [6, 1, 5], axis=0, frames=0, note="a state that starts anew in "
               "every window; equal only to a state carried from the stream's start", rule=7, operator="GRU")
    yield Case("refuse_dynamic_quantization", net.Head(conv(), "mean"), window, note="the scale follows the window's own "
               "range", rule=8, operator="DynamicQuantizeLinear", change=dynamic, **base)


def reverse(model):
    """Turns the time axis of the input round before anything else."""
    ints = {"starts": -1, "ends": -(2**31), "axes": 2, "steps": -1}
    for name, value in ints.items():
        model.graph.initializer.append(helper.make_tensor(name, onnx.TensorProto.INT64, [1], [value]))
    replace_input(model, helper.make_node("Slice", ["frames", *ints], ["turned"], "reverse"))


def dynamic(model):
    replace_input(model, helper.make_node("DequantizeLinear", ["q", "q_scale", "q_zero"], ["turned"], "dequantize"))
    model.graph.node.insert(0, helper.make_node("DynamicQuantizeLinear", ["frames"], ["q", "q_scale", "q_zero"],
                                                "quantize"))


def replace_input(model, node):
    for other in model.graph.node:
        other.input[:] = ["turned" if name == "frames" else name for name in other.input]
    model.graph.node.insert(0, node)
